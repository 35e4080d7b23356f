"""Hard negatives: of very many scenes without the keyword, those in which a model hears it all the same, to train on.

Most of what is not the keyword is easily told from it, and training on more of it teaches nothing. What decides about false alarms is rare;
so it is looked for, with a model that was trained without it (bootstrapping, Sung and Poggio 1998, doi:10.1109/34.655648).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from kws.cache import cached, fingerprint, raw_weights
from kws.data import TrainingData
from kws.model import CRNN
from kws.scenes import SceneConfig, Sounds
from kws.stream_training import VERSION, log_mels_of
from kws.streaming import StreamingCRNN

AT_ONCE = 100  # batches held before the best are picked


def add_hardest(
    data: TrainingData,
    model: CRNN,
    sounds: Sounds,
    candidates: int,
    keep: int,
    config: SceneConfig = SceneConfig(),
    seed: int = 0,
    cache: str | Path | None = None,
) -> TrainingData:
    """Training scenes with ``keep`` more: of so many candidates, made as they were but without the keyword, those of highest probability.

    ``sounds`` are those that ``data`` was made of for training. Raises ``ValueError`` if there are fewer candidates than are to be kept.
    """
    if not 1 <= keep <= candidates:
        raise ValueError(f"cannot keep {keep} of {candidates} scenes")
    without = replace(config, no_keyword=1.0)
    key = fingerprint(VERSION, data.key, without, candidates, keep, seed, *raw_weights(model))
    file = None if cache is None else Path(cache) / f"{data.corpus.name}-mined-{data.keyword}-{seed}.pt"
    found = cached(file, key, lambda: {"log_mel": hardest(model, sounds, candidates, keep, without, seed)})["log_mel"]
    first = len(data.labels)
    labels = torch.zeros(len(found), data.labels.shape[1], dtype=data.labels.dtype)
    split = replace(data.split, train=np.concatenate([data.split.train, np.arange(first, first + len(found))]))
    views = torch.cat([data.views[0], found])[None]
    return replace(data, labels=torch.cat([data.labels, labels]), views=views, split=split, key=key)


@torch.no_grad()
def hardest(model: CRNN, sounds: Sounds, candidates: int, keep: int, config: SceneConfig, seed: int) -> Tensor:
    """Log-mels (keep, 40, frames) float16 of the candidates whose highest probability is highest, in falling order."""
    network = StreamingCRNN(model)
    batches = log_mels_of(sounds, candidates, config, np.random.default_rng([seed, 2]))
    kept, scores = [], []
    with tqdm(total=candidates, desc="looking for hard scenes", unit="scene") as bar:
        for log_mel, _ in batches:
            kept.append(log_mel)
            scores.append(torch.softmax(network.whole(log_mel.float()), 2)[..., 1].amax(1))
            if len(kept) == AT_ONCE or bar.n + len(log_mel) == candidates:
                best = torch.cat(scores).sort(descending=True, stable=True)
                kept, scores = [torch.cat(kept)[best.indices[:keep]]], [best.values[:keep]]
            bar.update(len(log_mel))
    return kept[0]
