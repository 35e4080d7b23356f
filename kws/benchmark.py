"""How long an epoch takes when clips are decoded and transformed once, and how much memory a corpus needs.

``python -m kws.benchmark FOLDER KEYWORD [--clips N]`` prints the peak memory of preparing both splits and training an epoch on each.
"""

import argparse
import resource
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from kws.data.audio import fit_to_length, read_audio
from kws.data.augment import WaveformAugmentation, augment_waveforms
from kws.data.corpus import CLIP_SAMPLES, CorpusError, folder_corpus, load_noises
from kws.features import LogMel
from kws.model import CRNN
from kws.split import SPLITS
from kws.train import TrainConfig, Trainer, train
from kws.views import TrainingData, decode, training_data


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

    The usual way is that of a PyTorch Dataset: each clip is read, augmented (as the views were) and transformed on its
    own, then a batch trains. The cached way is this package's ``train``. Same model, batch size and thread count.
    """
    config = TrainConfig(epochs=repeats)  # the schedule must last for all repeats
    trainer = Trainer(data, CRNN().config, config, 0, torch.device("cpu"))
    rows = torch.arange(min(sample, len(data.split.train)))
    front_end, noises = LogMel(), load_noises(data.corpus)
    model, generator = CRNN(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters())

    def usual_clip(path: Path) -> Tensor:
        waveform = fit_to_length(read_audio(path), CLIP_SAMPLES)[None]
        return front_end(augment_waveforms(waveform, noises, waveform, WaveformAugmentation(), generator))

    def usual() -> None:
        for batch in rows.split(config.batch):
            clips = data.split.train[batch]
            log_mel = torch.cat([usual_clip(data.corpus.clips[i].path) for i in clips])
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Peak memory of preparing both splits of a corpus and training one epoch on each."
    )
    parser.add_argument("folder")
    parser.add_argument("keyword")
    parser.add_argument("--clips", type=int, help="take only so many clips, evenly spread")
    arguments = parser.parse_args()
    try:
        corpus = folder_corpus(arguments.folder)
        corpus.labels(arguments.keyword)
    except CorpusError as error:
        raise SystemExit(f"error: {error}") from None
    if arguments.clips:
        corpus = replace(
            corpus, clips=tuple(corpus.clips[i * len(corpus.clips) // arguments.clips] for i in range(arguments.clips))
        )
    with tempfile.TemporaryDirectory() as cache:
        clips = decode(corpus, cache)
        sets = [
            training_data(clips, arguments.keyword, make(clips.corpus, arguments.keyword), cache=cache)
            for make in SPLITS.values()
        ]
        for data in sets:
            train(data, config=TrainConfig(epochs=1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{len(corpus.clips):,} clips, {sets[0].views.shape[0]} views, two splits: peak memory {peak:.2f} GB")


if __name__ == "__main__":
    main()
