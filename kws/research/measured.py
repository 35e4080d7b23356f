"""What saved networks cost and how good they are: only loads and evaluates, so that every number can be repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws.checkpoint import load_model, stored_tensors
from kws.cost import count_macs, count_macs_exactly, count_parameters, score, size_in_bytes
from kws.data.jobs import in_order
from kws.evaluate import judge_checkpoint
from kws.metrics import at_prevalence, one_minus_auc
from kws.research.paired import resampled, wrong_pairs
from kws.research.whole_cost import WholeCost, whole_cost
from kws.views import TrainingData


@dataclass(frozen=True)
class Quality:
    """Mean over seeds on one set of clips, with the 95 % bootstrap interval over clips of that mean.

    Each of au_fa_fr, at_speech_commands and one_minus_auc is (mean, low, high); the three differ by a constant factor.
    """

    seeds: int
    clips: int
    keyword_clips: int
    one_minus_auc: tuple[float, float, float]
    spread: float  # standard deviation of 1 - AUC between seeds

    @property
    def au_fa_fr(self) -> tuple[float, ...]:
        """At the prevalence of these clips."""
        return tuple(at_prevalence(value, self.keyword_clips / self.clips) for value in self.one_minus_auc)

    @property
    def at_speech_commands(self) -> tuple[float, ...]:
        """AU_FA_FR at Speech Commands prevalence, 344 in 12,945."""
        return tuple(at_prevalence(value) for value in self.one_minus_auc)

    def times(self, other: "Quality") -> float:
        """1 - AUC over another's; NaN over one that makes no error."""
        return self.one_minus_auc[0] / other.one_minus_auc[0] if other.one_minus_auc[0] else float("nan")


def quality(judged: Sequence[tuple[np.ndarray, np.ndarray]]) -> Quality:
    """Quality of several seeds' models, each judged (probabilities, labels) on the same clips."""
    labels = judged[0][1]
    each = np.array([p for p, _ in judged])
    values = [one_minus_auc(p, labels) for p in each]
    interval = bootstrap_interval(each, labels)
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return Quality(len(values), len(labels), int(labels.sum()), (float(np.mean(values)), *interval), spread)


def bootstrap_interval(
    probabilities: Sequence, labels, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of 1 - AUC over clips (Efron and Tibshirani 1993, ch. 13).

    Args:
        probabilities: (N,), or (seeds, N) for several models scored on the same clips: then of the mean over models.
        labels: (N,) of 0 and 1.
        level: coverage, between 0 and 1.

    Keyword clips and others are resampled separately, so every resample has both and the same prevalence.
    """
    y = np.asarray(labels)
    for p in np.atleast_2d(probabilities):
        one_minus_auc(p, y)  # refuses what is no score or label
    generator = np.random.default_rng(seed)
    classes = [np.flatnonzero(y == k) for k in (0, 1)]
    # How often each clip is drawn; of a pair in the wrong order, the two counts are multiplied.
    drawn = [np.concatenate([generator.choice(c, c.size) for c in classes]) for _ in range(resamples)]
    times = np.array([np.bincount(clips, minlength=y.size) for clips in drawn], dtype=np.float64)
    wrong = resampled(wrong_pairs([(p, y) for p in np.atleast_2d(probabilities)]), times, y)
    values = wrong / (classes[0].size * classes[1].size)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Measured:
    """One network: costs of its first seed's file, quality over all seeds by kind of split.

    Attributes:
        value_bytes: what the values (and int8's scales) take; ``bytes`` is with the file format around them.
        compression, speedup: times fewer bytes and MACs than the base.
        whole: the cost of the detector with its front end. whole_compression, whole_speedup: the same rates of that.
    """

    name: str
    title: str
    parameters: int
    bytes: int
    value_bytes: int
    macs: int
    exact_macs: int
    compression: float
    speedup: float
    quality: dict[str, Quality]
    whole: WholeCost
    whole_compression: float
    whole_speedup: float

    @property
    def score(self) -> float:
        """The published score, of 7."""
        return score(self.compression, self.speedup)

    @property
    def multiplications(self) -> int:
        """For a second of sound, from samples to probability."""
        return self.whole.multiplications


def measure(
    titles: dict[str, str],
    files: dict[str, dict[str, list[Path]]],
    heard: dict[str, dict[str, TrainingData]],
    base: Sequence[Measured] = (),
) -> list[Measured]:
    """Load and evaluate networks.

    Args:
        titles: by name.
        files: the seeds' checkpoints by name and kind of split.
        heard: the clips as each network hears them, by name and kind of split.
        base: rates are against its first, or else against the first of these networks.
    """

    def judged(job: tuple[str, str]) -> Quality:
        name, kind = job
        return quality([judge_checkpoint(path, heard[name][kind]) for path in files[name][kind]])

    # The intervals take most of the time: each network and split on its own.
    jobs = [(name, kind) for name in titles for kind in files[name]]
    qualities = dict(zip(jobs, in_order(judged, jobs, progress=False), strict=True))
    rows: list[Measured] = []
    for name, title in titles.items():
        path = next(iter(files[name].values()))[0]
        model, size = load_model(path), size_in_bytes(path)
        macs = count_macs(model)
        first = next(iter([*base, *rows]), None)
        base_size, base_macs = (first.bytes, first.macs) if first else (size, macs)
        value_bytes = sum(tensor.numel() * tensor.element_size() for tensor in stored_tensors(path).values())
        costs = (count_parameters(model), size, value_bytes, macs, count_macs_exactly(model))
        found = {kind: qualities[name, kind] for kind in files[name]}
        whole = whole_cost(model, value_bytes)
        base_whole = first.whole if first else whole
        rates = (base_whole.bytes / whole.bytes, base_whole.multiplications / whole.multiplications)
        rows.append(Measured(name, title, *costs, base_size / size, base_macs / macs, found, whole, *rates))
    return rows
