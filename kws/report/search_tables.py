"""What a search has come to, as tables: its front, and a row for every trial that was trained."""

from pathlib import Path

from optuna import Study
from optuna.trial import FrozenTrial, TrialState
from tabulate import tabulate

from kws.cost import count_macs
from kws.model import build
from kws.report.bench_table import write_csv
from kws.report.columns import Row
from kws.research.front import SHOWN_OF_SPLIT
from kws.research.search import RUNGS, trained
from kws.research.search_rerun import Rerun
from kws.research.search_space import candidate


def front(study: Study) -> str:
    """The trials that no other betters in all of error, cost and bytes, cheapest first."""
    best = sorted(study.best_trials, key=lambda trial: trial.values[1:])
    if not best:
        return "no trial is finished"
    lines = [[t.number, f"{t.values[0]:.2e}", *(f"{v:,.0f}" for v in t.values[1:]), candidate(t.params)] for t in best]
    heads = ["trial", "1 - AUC", "multiplications a second", "bytes", "front end; network"]
    return tabulate(lines, heads, disable_numparse=True, colalign=["right"] * 4 + ["left"])


def trial_rows(study: Study, split: str) -> list[Row]:
    """Every trial that was trained, in its order: how far, its error there, and what it costs. ``split`` is its clips' fingerprint."""
    best, found = {trial.number for trial in study.best_trials}, trained(study.get_trials())
    which = {"split": split[:SHOWN_OF_SPLIT]}
    return [which | _row(trial, trial.number in best) for trial in found if "error 0" in trial.user_attrs]


def _row(trial: FrozenTrial, on_front: bool) -> Row:
    found = candidate(trial.params)
    # A trial that others bettered was stopped at a rung.
    reached = [rung for rung in range(len(RUNGS)) if f"error {rung}" in trial.user_attrs][-1]
    finished = trial.state == TrialState.COMPLETE
    told = {"trial": trial.number, "share_of_epochs": f"{RUNGS[reached]:.2f}", "finished": "yes" if finished else "no"}
    costs = {"multiplications_all_in": found.multiplications(), "macs_thop": count_macs(build(found.network))}
    told |= {"one_minus_auc": f"{trial.user_attrs[f'error {reached}']:.3e}", **costs, "bytes": found.bytes()}
    heard, _, network = str(found).partition("; ")
    return told | {"on_front": "yes" if on_front else "no", "front_end": heard, "network": network}


def write_trials(study: Study, split: str, path: str | Path) -> None:
    """Write ``trial_rows`` as CSV, whole or not at all. Raises ``ValueError`` where no trial was trained."""
    rows = trial_rows(study, split)
    if not rows:
        raise ValueError(f"{path}: nothing to write, for no trial was trained")
    write_csv(path, rows)


def compared(again: Rerun) -> str:
    """A trial that was trained again, against what is stored. Raises ``ValueError`` where they differ."""
    number, stored, errors = again.trial.number, again.stored, again.errors
    if errors != stored:
        raise ValueError(
            f"trial {number} gives {errors}, stored is {stored}: other kinds of CPU differ a little, other versions may more"
        )
    found = candidate(again.trial.params)
    told = ", ".join(f"{error:.3e}" for error in errors)
    return (
        f"trial {number}: {found}\n1 - AUC at each rung {told}, as before; {found.multiplications():,} multiplications a"
        f" second, {found.bytes():,} bytes"
    )
