"""A claimed record, verified from its checkpoints: cost against the base's, and error on the same test clips."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from kws.checkpoint import load_model, load_provenance
from kws.cost import count_macs, size_in_bytes
from kws.research.networks import titles
from kws.research.paired import Paired, paired
from kws.research.ruler import (
    AS_RECORDED,
    AUDITED,
    CLEAN,
    NOISY,
    UNHEARD_NOISE,
    Ruled,
    judged_at,
    missed_share,
    resamples_of,
)
from kws.research.study import Study
from kws.research.whole_cost import whole_cost
from kws.split import SplitMismatch

NO_LOSS = 1.15  # the most that the upper end of the ratio's interval may be
MORE_MISSED = 0.01  # keyword clips more than the base's, as recorded, at a false accept in a thousand


@dataclass(frozen=True)
class Costs:
    """Of one detector: MACs of its network by thop, bytes of ``torch.save(state_dict)``, multiplications a second all in."""

    macs: int
    bytes: int
    multiplications: int

    @classmethod
    def of(cls, path: str | Path) -> "Costs":
        """Of a checkpoint."""
        model = load_model(path)
        return cls(count_macs(model), size_in_bytes(path), whole_cost(model, 0).multiplications)


@dataclass(frozen=True)
class Claim:
    """What some seeds of a network come to on one kind of split.

    Attributes:
        noise: 1 - AUC in unheard noise against the base's, mean over seeds, noises and SNRs, speakers resampled.
        missed, missed_by_base: shares of the keyword clips as recorded, at a false accept in a thousand clips.
    """

    kind: str
    seeds: int
    costs: Costs
    base: Costs
    noise: Paired
    missed: float
    missed_by_base: float

    @property
    def holds(self) -> bool:
        """Whether it may be a record: the interval of its error in noise, against the base's, ends within the bar."""
        return self.noise.high <= NO_LOSS

    @property
    def no_loss(self) -> bool:
        """Whether it is as good as the base: in noise within the bar, as recorded at most one keyword clip in a hundred more missed."""
        return self.holds and self.noise.ratio <= 1 and self.missed - self.missed_by_base <= MORE_MISSED


def verify(
    study: Study,
    paths: Sequence[str | Path],
    left_out: Collection[str] = (),
    base: str = "base",
    resamples: int | None = None,
) -> Claim:
    """Judge checkpoints of one network, of one seed each, and the base on the test clips of the split that they name.

    ``left_out`` are clips by name that are not counted as recorded. Raises ``SplitMismatch`` for another split than the study's,
    ``NotTrained`` without a base, and ``CheckpointError``.
    """
    split = load_provenance(paths[0]).split
    kinds = [kind for kind, its in study.splits.items() if its.fingerprint == split]
    if not kinds:
        raise SplitMismatch(f"{paths[0]} was trained on the split {split[:12]}, which is none of this corpus")
    kind, theirs = kinds[0], study.files(base)[kinds[0]]
    judged = judged_at(study, {"claimed": {kind: list(paths)}, base: {kind: theirs}}, (CLEAN, *NOISY))
    clips = [study.corpus.clips[i] for i in study.splits[kind].test]
    runs = [[run for place in NOISY for run in judged[kind, place][name]] for name in ("claimed", base)]
    ratio = paired(*runs, [clip.speaker for clip in clips], resamples=resamples or resamples_of(study))
    kept = [clip.name not in left_out for clip in clips]
    recorded = [[(p[kept], y[kept]) for p, y in judged[kind, CLEAN][name]] for name in ("claimed", base)]
    costs = (Costs.of(paths[0]), Costs.of(theirs[0]))
    return Claim(kind, len(paths), *costs, ratio, *map(missed_share, recorded))


def claims_of(study: Study, rows: Sequence[Ruled], name: str, base: str = "base") -> list[Claim]:
    """The same of a network that a ruler has compared, on each kind of split that it was compared on."""
    rows, found = [row for row in rows if row.network == titles(name)[name]], []
    for kind in dict.fromkeys(row.split for row in rows):
        by = {row.condition: row for row in rows if row.split == kind}
        noise, recorded = by[UNHEARD_NOISE], by.get(AUDITED, by[AS_RECORDED])
        costs = [Costs.of(study.files(one)[kind][0]) for one in (name, base)]
        shares = (recorded.missed, recorded.missed_by_other)
        found.append(Claim(kind, noise.seeds, *costs, noise.paired, *shares))
    return found
