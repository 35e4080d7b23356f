"""What saved networks cost and how good they are: only loads and evaluates, so that every number can be repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kws.checkpoint import load_model, stored_tensors
from kws.cost import count_macs, count_macs_exactly, count_parameters, score, size_in_bytes
from kws.data.jobs import in_order
from kws.evaluate import Quality, judge_checkpoint, quality
from kws.views import TrainingData


@dataclass(frozen=True)
class Measured:
    """One network: costs of its first seed's file, quality over all seeds by kind of split.

    Attributes:
        value_bytes: what the values (and int8's scales) take; ``bytes`` is with the file format around them.
        compression, speedup: times fewer bytes and MACs than the base.
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

    @property
    def score(self) -> float:
        """The published score, of 7."""
        return score(self.compression, self.speedup)


def measure(
    titles: dict[str, str],
    files: dict[str, dict[str, list[Path]]],
    sets: dict[str, TrainingData],
    base: Sequence[Measured] = (),
) -> list[Measured]:
    """Load and evaluate networks.

    Args:
        titles: by name.
        files: the seeds' checkpoints by name and kind of split.
        sets: the clips by kind of split.
        base: rates are against its first, or else against the first of these networks.
    """

    def judged(job: tuple[str, str]) -> Quality:
        name, kind = job
        return quality([judge_checkpoint(path, sets[kind]) for path in files[name][kind]])

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
        rows.append(Measured(name, title, *costs, base_size / size, base_macs / macs, found))
    return rows
