"""A trial of a search trained once more: to see that it is what is stored, or for its network."""

from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial
from torch import nn

from kws.checkpoint import save_model
from kws.evaluate import provenance
from kws.research.search import RUNGS, trained
from kws.research.search_material import SEED, Material, trained_at_rungs
from kws.research.search_space import candidate


@dataclass(frozen=True)
class Rerun:
    """A trial that was trained again.

    Attributes:
        stored, errors: its errors at the rungs that it reached, then and now.
        model: the network, in float32, batch norm folded in.
    """

    trial: FrozenTrial
    stored: list[float]
    errors: list[float]
    model: nn.Module


def rerun(study: optuna.Study, number: int, material: Material) -> Rerun:
    """Train a trial again. Raises ``ValueError`` for one that was not trained."""
    trial = next((t for t in study.get_trials(deepcopy=False) if t.number == number), None)
    if trial is None or trial not in trained([trial]) or "error 0" not in trial.user_attrs:
        raise ValueError(f"the study {study.study_name!r} has no trial {number} that was trained")
    names = [f"error {rung}" for rung in range(len(RUNGS))]
    stored = [trial.user_attrs[name] for name in names if name in trial.user_attrs]
    errors, models = zip(*trained_at_rungs(candidate(trial.params), material, RUNGS[: len(stored)]), strict=True)
    return Rerun(trial, stored, list(errors), models[-1])


def save_rerun(found: Rerun, material: Material, path: Path) -> None:
    """Write its network as int8, packed: a checkpoint that knows its own front end."""
    metrics = {"validation 1-AUC in unheard noise": found.errors[-1]}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(path, found.model, provenance(material.data, SEED, metrics), "int8", packed=True)
