"""Hard negatives: of very many scenes without the keyword, those in which a model hears it all the same, to train on.

Most of what is not the keyword is easily told from it, and training on more of it teaches nothing. What decides about false alarms is rare;
so it is looked for, with models that were trained without it (bootstrapping, Sung and Poggio 1998, doi:10.1109/34.655648).
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from kws.data.storage import cached, fingerprint, raw_weights
from kws.research.speech_embedding import SpeechEmbedding
from kws.research.stream_teacher import StreamTeacher
from kws.research.stream_training import VERSION, SceneData, over_scenes
from kws.scenes import Batch, SceneConfig, Sounds, batches_of

AT_ONCE = 100  # batches held before the best are picked


def add_hardest(
    data: SceneData,
    scouts: Sequence[nn.Module],
    sounds: Sounds,
    candidates: int,
    keep: int,
    config: SceneConfig = SceneConfig(),
    seed: int = 0,
    cache: str | Path | None = None,
    embedding: SpeechEmbedding | None = None,
) -> SceneData:
    """Training scenes with more: of so many candidates, made as they were but without the keyword, the ``keep`` that each scout finds hardest.

    What two scouts both find hard joins once. ``sounds`` are those that ``data`` was made of for training, ``embedding`` the one
    that heard it. Raises ``ValueError`` if there are fewer candidates than are to be kept.
    """
    if not 1 <= keep <= candidates:
        raise ValueError(f"cannot keep {keep} of {candidates} scenes")
    without = replace(config, no_keyword=1.0)
    weights = [part for scout in scouts for part in raw_weights(scout)]
    key = fingerprint(VERSION, data.key, without, candidates, keep, seed, *weights)
    file = None if cache is None else Path(cache) / f"{data.corpus.name}-mined-{data.keyword}-{seed}.pt"

    def make() -> dict:
        log_mel, embedded = hardest(scouts, sounds, candidates, keep, without, seed, embedding)
        return {"log_mel": log_mel, "embedded": embedded}

    found = cached(file, key, make)
    labels = torch.zeros(len(found["log_mel"]), data.labels.shape[1], dtype=data.labels.dtype)
    return data.joined_by(found["log_mel"], labels, found["embedded"], key)


@torch.no_grad()
def hardest(
    scouts: Sequence[nn.Module],
    sounds: Sounds,
    candidates: int,
    keep: int,
    config: SceneConfig,
    seed: int,
    embedding: SpeechEmbedding | None = None,
) -> tuple[Tensor, Tensor]:
    """Log-mels (scenes, 40, frames) and embeddings (scenes, 96, steps), float16, of the ``keep`` candidates of highest probability for each scout.

    A scout's highest probability in a scene counts. In the order in which they were made, none twice.
    """
    networks = [over_scenes(scout) for scout in scouts]

    def judged(batch: Batch) -> tuple[Tensor, ...]:
        heard = [batch.embedded if isinstance(network, StreamTeacher) else batch.log_mel for network in networks]
        logits = [network.whole(x.float()) for network, x in zip(networks, heard, strict=True)]
        highest = [torch.softmax(some, 2)[..., 1].amax(1) for some in logits]
        return batch.log_mel, batch.embedded, torch.stack(highest, 1)

    kept: list[tuple[Tensor, ...]] = []
    for batch in batches_of(sounds, candidates, config, (seed, 2), embedding, judged, "looking for hard scenes"):
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
