"""The front of quality against whole cost: networks and the trials of a search, each against the base on the same validation clips."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws.data.jobs import in_order
from kws.evaluate import judge_checkpoint
from kws.metrics import one_minus_auc
from kws.research.heard import heard
from kws.research.measured import Measured
from kws.research.ruler import SNRS
from kws.research.study import Study
from kws.research.unheard import UNHEARD

TRIALS = Path("docs/results/search.csv")
SEARCHED = "speaker-disjoint"  # the kind of split that a search works on
SHOWN_OF_SPLIT = 12  # characters of its fingerprint


@dataclass(frozen=True)
class Placed:
    """A point of the front.

    Attributes:
        multiplications: a second of sound, from samples to probability.
        times_base: 1 - AUC in unheard noise on validation clips over the base's there.
    """

    name: str
    multiplications: int
    times_base: float


def validation_errors(study: Study, names: Sequence[str], kind: str) -> dict[str, float]:
    """1 - AUC on the validation clips of a kind of split, the mean over seeds, kinds of unheard noise and SNRs."""
    places = [(noise, snr_db) for noise in UNHEARD for snr_db in SNRS]
    files = {name: study.files(name)[kind] for name in names}

    def judged(place: tuple[str, float]) -> list[float]:
        noise, snr_db = place
        sets = heard(study.clips, {kind: study.sets[kind]}, names, snr_db, noise, "validation")
        errors = [[judge_checkpoint(path, sets[name][kind], "validation") for path in files[name]] for name in names]
        return [float(np.mean([one_minus_auc(p, y) for p, y in seeds])) for seeds in errors]

    _ = study.sets  # made once, before the processes part
    found = np.mean(list(in_order(judged, places, progress=False)), axis=0)
    return dict(zip(names, found.tolist(), strict=True))


def placed(study: Study, rows: Sequence[Measured], base: str = "base") -> list[Placed]:
    """Measured networks, each on a kind of split that it was trained on, for strangers where it can be."""
    kinds = {row.name: [*row.quality][-1] for row in rows}
    errors = {}
    for kind in dict.fromkeys(kinds.values()):
        names = [base, *(name for name, its in kinds.items() if its == kind and name != base)]
        found = validation_errors(study, names, kind)
        errors |= {name: error / found[base] for name, error in found.items()}
    return [Placed(row.name, row.multiplications, errors[row.name]) for row in rows]


def trials(study: Study, path: str | Path = TRIALS, base: str = "base") -> list[Placed]:
    """The finished trials of a search on this corpus' split, as its table has them; none where there was none."""
    if not Path(path).is_file():
        return []
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["finished"] == "yes"]
    if any(row["split"] != study.splits[SEARCHED].fingerprint[:SHOWN_OF_SPLIT] for row in rows):
        return []
    error = validation_errors(study, [base], SEARCHED)[base]
    return [Placed(r["trial"], int(r["multiplications_all_in"]), float(r["one_minus_auc"]) / error) for r in rows]
