"""Hard negatives: of very many scenes without the keyword, those in which a model hears it all the same, to train on.

Most of what is not the keyword is easily told from it, and training on more of it teaches nothing. What decides about false alarms is rare;
so it is looked for, with models that were trained without it (bootstrapping, Sung and Poggio 1998, doi:10.1109/34.655648).
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from kws.data.storage import fingerprint
from kws.data.torch_files import cached
from kws.research.scene_data import VERSION, Maker, SceneData, Scenes, weights_of
from kws.research.stepwise import stepwise
from kws.scenes import Batch, batches_of

AT_ONCE = 100  # batches held before the best are picked


def add_hardest(
    data: SceneData, scouts: Sequence[nn.Module], maker: Maker, candidates: int, keep: int, seed: int = 0
) -> SceneData:
    """With more training scenes: of so many candidates without the keyword, the ``keep`` that each scout finds hardest.

    What two scouts both find hard joins once. Raises ``ValueError`` if there are fewer candidates than are to be kept.
    """
    if not 1 <= keep <= candidates:
        raise ValueError(f"cannot keep {keep} of {candidates} scenes")
    without = replace(maker, config=replace(maker.config, no_keyword=1.0))
    key = fingerprint(VERSION, data.key, without.config, candidates, keep, seed, *weights_of(scouts))

    def make() -> dict:
        log_mel, embedded = hardest(scouts, without, candidates, keep, seed)
        return {"log_mel": log_mel, "embedded": embedded}

    found = cached(maker.file(data.corpus, f"mined-{data.keyword}-{seed}"), key, make)
    labels = torch.zeros(len(found["log_mel"]), data.train.labels.shape[1], dtype=data.train.labels.dtype)
    return data.joined_by(Scenes(found["log_mel"], labels, found["embedded"]), key)


@torch.no_grad()
def hardest(
    scouts: Sequence[nn.Module], maker: Maker, candidates: int, keep: int, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Log-mels (scenes, 40, frames) and embeddings (scenes, 96, steps), float16, of the hardest ``keep`` candidates for each scout.

    A scout's highest probability in a scene counts. In the order in which they were made, none twice.
    """
    networks = [stepwise(scout) for scout in scouts]

    def judged(batch: Batch) -> tuple[Tensor, ...]:
        logits = [network.whole(Scenes(*batch).heard(network.hears).float()) for network in networks]
        highest = [torch.softmax(some, 2)[..., 1].amax(1) for some in logits]
        return batch.log_mel, batch.embedded, torch.stack(highest, 1)

    kept: list[tuple[Tensor, ...]] = []
    sounds, config = maker.sounds["train"], maker.config
    for batch in batches_of(sounds, candidates, config, (seed, 2), maker.embedding, judged, "looking for hard scenes"):
        kept.append(batch)
        if len(kept) == AT_ONCE:
            kept = [_best(kept, keep)]
    log_mel, embedded, _ = _best(kept, keep)
    return log_mel, embedded


def _best(batches: list[tuple[Tensor, ...]], keep: int) -> tuple[Tensor, ...]:
    log_mel, embedded, scores = (torch.cat(parts) for parts in zip(*batches, strict=True))
    order = scores.sort(dim=0, descending=True, stable=True).indices[:keep]
    chosen = order.unique()  # sorted
    return log_mel[chosen], embedded[chosen], scores[chosen]
