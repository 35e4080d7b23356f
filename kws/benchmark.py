"""How long an epoch takes when clips are decoded and transformed once, against doing both in every epoch."""

import time
from dataclasses import dataclass

import torch
from torch import nn

from kws.audio import fit_to_length, read_audio
from kws.corpora import CLIP_SAMPLES
from kws.data import TrainingData
from kws.features import LogMel
from kws.model import CRNN
from kws.train import TrainConfig, Trainer


@dataclass(frozen=True)
class EpochTimes:
    """Seconds for one epoch: ``usual`` decodes and transforms every clip, ``cached`` takes stored views; both also train."""

    usual: float
    cached: float
    clips: int

    @property
    def ratio(self) -> float:
        return self.usual / self.cached


def compare_epochs(data: TrainingData, sample: int = 1024, repeats: int = 3) -> EpochTimes:
    """Time both ways in turn on the first ``sample`` training clips, medians of ``repeats``, scaled to all training clips.

    The usual way: read the file, log-mel of one clip at a time, collect a batch, one training step; the cached way: this
    package's ``train``. Same model, batch size and thread count.
    """
    config = TrainConfig(epochs=1)
    trainer = Trainer(data, CRNN().config, config, 0, torch.device("cpu"))
    rows = torch.arange(min(sample, len(data.split.train)))
    front_end = LogMel()
    model, generator = CRNN(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters())

    def usual() -> None:
        for batch in rows.split(config.batch):
            clips = data.split.train[batch]
            log_mel = torch.stack(
                [front_end(fit_to_length(read_audio(data.corpus.clips[i].path), CLIP_SAMPLES)) for i in clips]
            )
            loss = nn.functional.cross_entropy(model(log_mel), data.labels[clips])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def cached() -> None:
        for batch in rows.split(config.batch):
            trainer.step(batch, generator)

    seconds: dict[str, list[float]] = {"usual": [], "cached": []}
    trainer.model.train()
    for _ in range(repeats):
        for name, way in (("usual", usual), ("cached", cached)):
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    scale = len(data.split.train) / len(rows)
    usual_seconds, cached_seconds = (sorted(values)[len(values) // 2] * scale for values in seconds.values())
    return EpochTimes(usual_seconds, cached_seconds, len(data.split.train))
