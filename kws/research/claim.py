"""A claimed record, verified from its checkpoints: cost against the base's, and error on the same test clips."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from kws.checkpoint import load_model, load_provenance, stored_tensors
from kws.cost import count_macs, size_in_bytes
from kws.data.jobs import in_order
from kws.evaluate import judge_checkpoint
from kws.research.conditions import in_noise
from kws.research.heard import through
from kws.research.networks import titles
from kws.research.own_front import own_front_end
from kws.research.paired import Judged, Paired, paired
from kws.research.ruler import (
    AS_RECORDED,
    AUDITED,
    CLEAN,
    SNRS,
    UNHEARD_NOISE,
    Place,
    Ruled,
    missed_share,
    resamples_of,
)
from kws.research.study import Study
from kws.research.unheard import UNHEARD
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
        values = sum(tensor.numel() * tensor.element_size() for tensor in stored_tensors(path).values())
        return cls(count_macs(model), size_in_bytes(path), whole_cost(model, values).multiplications)


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

    ``left_out`` are clips by name that are not counted as recorded. Raises ``SplitMismatch`` for another split than the study's.
    """
    split = load_provenance(paths[0]).split
    kinds = [kind for kind, its in study.splits.items() if its.fingerprint == split]
    if not kinds:
        raise SplitMismatch(f"{paths[0]} was trained on the split {split[:12]}, which is none of this corpus")
    (kind, *_), own = kinds, own_front_end(load_model(paths[0]).config)
    theirs = study.files(base)[kind]

    def judged(place: Place) -> tuple[list[Judged], list[Judged]]:
        found = []
        for files, front_end in ((paths, own), (theirs, None)):
            data = through(study.clips, study.sets[kind], front_end)
            if place != CLEAN:
                data = in_noise(study.clips, data, place[1], noise=place[0], front_end=front_end)
            found.append([judge_checkpoint(path, data) for path in files])
        return found[0], found[1]

    _ = study.sets  # made once, before the processes part
    places = [CLEAN, *((noise, snr_db) for noise in UNHEARD for snr_db in SNRS)]
    (mine, bases), *noisy = in_order(judged, places, progress=False)
    clips = [study.corpus.clips[i] for i in study.splits[kind].test]
    runs = [[run for place in noisy for run in place[which]] for which in (0, 1)]
    ratio = paired(*runs, [clip.speaker for clip in clips], resamples=resamples or resamples_of(study))
    kept = [clip.name not in left_out for clip in clips]
    shares = [missed_share([(p[kept], y[kept]) for p, y in these]) for these in (mine, bases)]
    return Claim(kind, len(paths), Costs.of(paths[0]), Costs.of(theirs[0]), ratio, *shares)


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
