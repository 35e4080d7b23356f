"""A search for the smallest detector of a keyword: error, cost and bytes at once, by optuna, on one machine or many.

What a trial may choose is in ``kws.research.search_space``. Trials learn and are judged on the speaker-disjoint split's training and
validation clips; test clips are not heard. A trial is a number in a study, and the study is kept in a database.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna import TrialPruned
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning, OptunaError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from kws.data.tensors import StorageError
from kws.research.search_interrupt import Interrupt
from kws.research.search_material import Material, errors_at_rungs
from kws.research.search_space import CHEAPEST, SPACE, STARTS, Logarithmic, candidate, space_version
from kws.trainer import TrainingError

OBJECTIVES = ("1 - AUC in unheard noise", "multiplications a second", "bytes")
RUNGS = (1 / 9, 1 / 3, 1.0)  # shares of the epochs after which a trial is looked at
LUCK = 2  # finished trials that must be better at a rung: one may be so by chance
HEARTBEAT = 30  # seconds between two signs of life; after twice that a trial counts as lost, and is tried again
RETRIES = 3
DEAR = 20  # choices over the budget for each one within it, after which a search ends
STOPPED, OVER_BUDGET, EXCESS = "stopped", "over the budget", "multiplications over the budget"

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=ExperimentalWarning)


@dataclass(frozen=True)
class Limits:
    """When a search ends.

    Attributes:
        budget: most multiplications a second; what costs more is not trained.
        trials: trained ones in the whole study, whoever trained them.
        until: ``time.time()`` after which no trial is begun.
    """

    budget: float = float("inf")
    trials: float = float("inf")
    until: float = float("inf")


def check_budget(budget: float) -> None:
    """Raise ``ValueError`` for a budget that nothing in the space keeps."""
    least = candidate(CHEAPEST).multiplications()
    if not budget >= least:
        raise ValueError(
            f"--budget {budget:,.0f}: the cheapest of the search space takes {least:,} multiplications a second"
        )


def open_storage(url: str) -> RDBStorage:
    """A database, made if it is SQLite and not there. Raises ``ValueError`` naming the URL, without its password."""
    try:
        parsed = make_url(url)
        local = parsed.get_backend_name() == "sqlite"
        if local and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        return RDBStorage(
            url,
            engine_kwargs={"connect_args": {"timeout": 100}} if local else {"pool_pre_ping": True},
            heartbeat_interval=HEARTBEAT,
            grace_period=2 * HEARTBEAT,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=RETRIES),
        )
    except (SQLAlchemyError, OptunaError, ImportError, OSError, RuntimeError) as error:
        raise ValueError(f"--storage {shown_url(url)}: cannot be used ({first_line(error)})") from error


def shown_url(url: str) -> str:
    """A storage's URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return url


def first_line(error: Exception) -> str:
    """What an error of a database says, without its SQL."""
    cause = error.__context__ if isinstance(error, UnboundLocalError) else error.__cause__
    return str(getattr(error, "orig", None) or cause or error).strip().partition("\n")[0]


def open_study(storage: RDBStorage, name: str, bound: dict[str, str], begin: bool = True) -> optuna.Study:
    """The study of a name; ``begin`` makes it if it is not there.

    ``bound`` names what all of its trials share. Raises ``ValueError`` for a study of anything else, or one that is not there.
    """
    # The constant liar keeps workers from choosing alike: a running trial counts as a bad one.
    # What is over the budget counts as worse than all that is not.
    sampler = optuna.samplers.TPESampler(
        constant_liar=True, constraints_func=lambda trial: (trial.user_attrs.get(EXCESS, 0.0),)
    )
    shared = {"storage": storage, "study_name": name, "sampler": sampler}
    try:
        if not begin:
            study = optuna.load_study(**shared)
        else:
            study = optuna.create_study(**shared, directions=["minimize"] * len(OBJECTIVES))
            for key, value in bound.items():
                study.set_user_attr(key, value)
            for chosen in STARTS:
                study.enqueue_trial(chosen)
    except DuplicatedStudyError:
        study = optuna.load_study(**shared)
    except KeyError as error:
        raise ValueError(f"there is no study {name!r} in this storage") from error
    # Another process may have made it a moment ago.
    for _ in range(50):
        if study.user_attrs.keys() >= bound.keys():
            break
        time.sleep(0.1)
    for key, value in bound.items():
        if (theirs := study.user_attrs.get(key, "unknown")) != value:
            raise ValueError(
                f"the study {name!r} is of another {key} ({theirs}, here {value}): name a new one with --study, or another --storage"
            )
    return study


def bound_to(material: Material) -> dict[str, str]:
    """What all trials of a study share."""
    return {"search space": space_version(), "data": material.key, "number of epochs": str(material.epochs)}


def trained(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Those that were trained to their end, or until others were better; not those over the budget."""
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return [t for t in trials if t.state in ended and t.user_attrs.get(STOPPED) != OVER_BUDGET]


def work(
    study: optuna.Study,
    material: Material,
    limits: Limits,
    said: Callable[[], None] = lambda: None,
    interrupt: Interrupt | None = None,
) -> None:
    """Do trials until a limit is reached; ``said`` is called after each. Another's trial is waited for in case it dies.

    Raises ``KeyboardInterrupt`` after the signal that ``interrupt`` handles.
    """
    interrupt = interrupt or Interrupt()

    def objective(trial: Trial) -> tuple[float, int, int]:
        return run_trial(trial, material, limits, interrupt)

    idle, since = 3 * HEARTBEAT, None
    while time.time() < limits.until:
        interrupt.check()
        trials = study.get_trials(deepcopy=False)
        done, running = len(trained(trials)), sum(t.state == TrialState.RUNNING for t in trials)
        if done >= limits.trials:
            return
        if sum(t.user_attrs.get(STOPPED) == OVER_BUDGET for t in trials) > DEAR * (done + DEAR):
            raise ValueError(
                f"--budget {limits.budget:,.0f}: nearly nothing of the search space is as cheap; allow more"
            )
        if done + running < limits.trials:
            study.optimize(objective, n_trials=1)
            said()
            since = None
            continue
        # Enough are under way: stay, in case one of them is lost, but not for ever.
        since = since or time.time()
        if time.time() - since > idle:
            return
        time.sleep(min(1.0, HEARTBEAT / 2))
        fail_stale_trials(study)


def run_trial(trial: Trial, material: Material, limits: Limits, interrupt: Interrupt) -> tuple[float, int, int]:
    """Error, cost and bytes of one trial. Raises ``TrialPruned`` over the budget, or when others are better at a rung."""
    found = candidate(suggest(trial))
    cost, size = found.multiplications(), found.bytes()
    trial.set_user_attr("cost", cost)
    trial.set_user_attr("bytes", size)
    if cost > limits.budget:
        trial.set_user_attr(EXCESS, cost - limits.budget)
        stop(trial, OVER_BUDGET)
    # At each rung the error is kept, for others to be compared with.
    errors = errors_at_rungs(found, material, RUNGS)
    try:
        for rung in range(len(RUNGS)):
            with interrupt.raises():
                error = next(errors)
            trial.set_user_attr(f"error {rung}", error)
            if rung < len(RUNGS) - 1 and is_dominated(trial, rung, error, cost, size):
                stop(trial, f"at rung {rung + 1}")
    except (TrainingError, StorageError) as problem:  # it diverged, or its values are too large for int8
        stop(trial, f"diverged ({problem})")
    return error, cost, size


def stop(trial: Trial, why: str) -> None:
    """End a trial here."""
    trial.set_user_attr(STOPPED, why)
    raise TrialPruned(why)


def suggest(trial: Trial) -> dict:
    """A choice from all of ``SPACE``."""
    chosen = {}
    for name, values in SPACE.items():
        if isinstance(values, Logarithmic):
            chosen[name] = trial.suggest_float(name, values.low, values.high, log=True)
        elif isinstance(values, range):
            chosen[name] = trial.suggest_int(name, values[0], values[-1])
        else:
            chosen[name] = trial.suggest_categorical(name, values)
    return chosen


def is_dominated(trial: Trial, rung: int, error: float, cost: int, size: int) -> bool:
    """Whether ``LUCK`` finished trials of no greater cost and bytes had a lower error at this rung."""
    finished = trial.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    seen = [t.user_attrs for t in finished]
    better = [a for a in seen if a[f"error {rung}"] < error and a["cost"] <= cost and a["bytes"] <= size]
    return len(better) >= LUCK
