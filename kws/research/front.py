"""The front of quality against whole cost: networks and the trials of a search, each against the base on the same validation clips."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws.metrics import one_minus_auc
from kws.research.measured import Measured
from kws.research.ruler import NOISY, judged_at
from kws.research.search_material import KIND
from kws.research.study import Study

TRIALS = Path("docs/results/search.csv")
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
    files = {name: {kind: study.files(name)[kind]} for name in names}
    judged = judged_at(study, files, NOISY, "validation")
    errors = {name: [one_minus_auc(*run) for at in judged.values() for run in at[name]] for name in names}
    return {name: float(np.mean(found)) for name, found in errors.items()}


def front(
    study: Study, rows: Sequence[Measured], path: str | Path = TRIALS, base: str = "base"
) -> tuple[list[Placed], list[Placed]]:
    """Measured networks, each for strangers where it was trained for them; and the finished trials of a search, if one was made.

    ``path`` is the table of its trials. Those of another split than this study's are left out.
    """
    kinds = {row.name: [*row.quality][-1] for row in rows}
    errors, of_base = {}, {}
    for kind in dict.fromkeys((KIND, *kinds.values())):
        names = [base, *(name for name, its in kinds.items() if its == kind and name != base)]
        found = validation_errors(study, names, kind)
        of_base[kind] = found[base]
        errors |= {name: error / found[base] for name, error in found.items()}
    networks = [Placed(row.name, row.multiplications, errors[row.name]) for row in rows]
    return networks, [
        Placed(trial.name, trial.multiplications, trial.times_base / of_base[KIND]) for trial in _trials(study, path)
    ]


def _trials(study: Study, path: str | Path) -> list[Placed]:
    """The finished ones, with their own 1 - AUC."""
    if not Path(path).is_file():
        return []
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["finished"] == "yes"]
    split = study.splits[KIND].fingerprint[:SHOWN_OF_SPLIT]
    return [
        Placed(row["trial"], int(row["multiplications_all_in"]), float(row["one_minus_auc"]))
        for row in rows
        if row["split"] == split
    ]
