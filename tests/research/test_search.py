"""A search: trials of two processes in one study, one killed amid its work, rungs, the budget, and trials run again."""

import multiprocessing
import os
import signal
import time
from dataclasses import replace

import optuna
import pytest
import torch
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from kws.data.storage import fingerprint
from kws.research import search as module
from kws.research.networks import GRU_SMALL, RUNGS
from kws.research.search import Limits, bound_to, check_budget, is_dominated, open_storage, open_study, trained, work
from kws.research.search_material import Material, errors_at_rungs
from kws.research.search_rerun import rerun
from kws.research.search_space import BEYOND, CHEAPEST, SPECTRA, FrontEnd, candidate
from kws.research.search_workers import begin, connect, search
from kws.research.settings import Settings
from kws.research.study import Study
from kws.trainer import TrainingError


@pytest.fixture(scope="module")
def study(tone_folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("search"))
        patch.setenv("KWS_JOBS", "1")
        patch.setitem(RUNGS, "teacher", replace(RUNGS["teacher"], config=GRU_SMALL))
        yield Study(Settings(str(tone_folder), "low", epochs=1, views=1, cache="cache"))


@pytest.fixture(scope="module")
def material(study):
    found = Material(study, epochs=3, taught=False)
    for name in SPECTRA:
        found.spectrum(name)
    return found


@pytest.fixture(autouse=True)
def two_starts(monkeypatch):
    monkeypatch.setattr(module, "STARTS", (BEYOND, CHEAPEST))


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/runs/search.db"


def fake_errors(found, material, rungs):
    """As good as a network is big."""
    yield from [1000.0 / found.bytes()] * len(rungs)


def test_two_processes_share_a_study_and_a_trial_can_be_run_again(material, url, monkeypatch):
    monkeypatch.setenv("KWS_JOBS", "2")
    monkeypatch.setattr(module, "LUCK", 99)  # nothing is stopped early
    begin(url, "s", material)
    seen = []
    search(url, "s", material, Limits(trials=5), lambda study: seen.append(len(trained(study.get_trials()))))
    study = connect(url, "s", material)
    trials = study.get_trials()
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert 5 <= len(trials) <= 6  # two may begin the last one at once
    assert seen[-1] == len(trials)
    assert [trial.params for trial in trials[:2]] == [BEYOND, CHEAPEST]
    assert len({fingerprint(sorted(trial.params.items())) for trial in trials}) == len(trials)  # no work was done twice
    for trial in trials[:2]:
        found = candidate(trial.params)
        assert trial.values[1:] == [found.multiplications(), found.bytes()]
        again = rerun(study, trial.number, material)
        stored, now = again.stored, again.errors
        assert stored == now
        assert stored[-1] == trial.values[0]
    # Enough is enough: a further search begins nothing.
    search(url, "s", material, Limits(trials=5))
    assert len(study.get_trials()) == len(trials)


def test_a_worker_that_is_killed_leaves_the_study_none_the_worse(material, url, monkeypatch):
    monkeypatch.setattr(module, "HEARTBEAT", 1)
    monkeypatch.setattr(module, "errors_at_rungs", lambda *_: iter(lambda: time.sleep(60), 1))
    begin(url, "s", material)
    context = multiprocessing.get_context("fork")
    victim = context.Process(target=lambda: work(connect(url, "s", material), material, Limits(trials=3)))
    victim.start()
    study = connect(url, "s", material)
    while not any("cost" in trial.user_attrs for trial in study.get_trials()):
        time.sleep(0.1)
        assert victim.is_alive()
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    monkeypatch.setattr(module, "errors_at_rungs", fake_errors)
    work(study, material, Limits(trials=3))
    states = [trial.state for trial in study.get_trials()]
    assert states.count(TrialState.COMPLETE) + states.count(TrialState.PRUNED) == 3
    assert states.count(TrialState.FAIL) == 1
    assert TrialState.RUNNING not in states
    # What it was at was done again.
    lost = study.get_trials()[0]
    assert lost.state == TrialState.FAIL
    assert [trial.params for trial in study.get_trials()[1:]].count(lost.params) == 1


def test_an_interrupted_trial_is_marked_and_finished_ones_are_kept(material, url, monkeypatch):
    def interrupted(found, *_):
        if found == candidate(CHEAPEST):
            raise KeyboardInterrupt
        yield from fake_errors(found, *_)

    monkeypatch.setattr(module, "errors_at_rungs", interrupted)
    begin(url, "s", material)
    with pytest.raises(KeyboardInterrupt):
        work(connect(url, "s", material), material, Limits(trials=3))
    states = [trial.state for trial in connect(url, "s", material).get_trials()]
    assert states == [TrialState.COMPLETE, TrialState.FAIL]


def test_what_is_over_the_budget_is_not_trained(material, url, monkeypatch):
    heard = []
    monkeypatch.setattr(module, "errors_at_rungs", lambda found, *a: heard.append(found) or fake_errors(found, *a))
    begin(url, "s", material)
    study, budget = connect(url, "s", material), candidate(CHEAPEST).multiplications() + 50_000
    work(study, material, Limits(budget, trials=3))
    assert len(heard) == len(trained(study.get_trials())) == 3
    assert all(found.multiplications() <= budget for found in heard)
    assert study.get_trials()[0].user_attrs["stopped"] == "over the budget"  # "beyond"
    with pytest.raises(ValueError, match="no trial 0 that was trained"):
        rerun(study, 0, material)


def test_a_diverged_trial_is_stopped(material, url, monkeypatch):
    def diverged(*_):
        raise TrainingError("the loss is nan")
        yield

    monkeypatch.setattr(module, "errors_at_rungs", diverged)
    begin(url, "s", material)
    study = connect(url, "s", material)
    work(study, material, Limits(trials=1))
    assert [t.user_attrs["stopped"] for t in study.get_trials()[:1]] == ["diverged (the loss is nan)"]


def test_time_is_a_limit(material, url):
    begin(url, "s", material)
    study = connect(url, "s", material)
    work(study, material, Limits(until=time.time() - 1))
    assert {trial.state for trial in study.get_trials()} == {TrialState.WAITING}


@pytest.mark.parametrize(
    ("others", "dominated"),
    [
        ([(0.1, 10, 10)], False),  # one may be lucky
        ([(0.1, 10, 10), (0.1, 9, 10)], True),
        ([(0.1, 10, 10), (0.1, 11, 10)], False),  # at greater cost
        ([(0.1, 10, 10), (0.1, 10, 11)], False),  # more bytes
        ([(0.1, 10, 10), (0.2, 10, 10)], False),  # no better
    ],
)
def test_a_trial_is_dominated_by_two_of_no_greater_cost(others, dominated):
    study = optuna.create_study(directions=["minimize"] * 3)
    for error, cost, size in others:
        about = {"error 1": error, "cost": cost, "bytes": size}
        study.add_trial(optuna.create_trial(values=[error, cost, size], user_attrs=about))
    assert is_dominated(study.ask(), 1, 0.2, 10, 10) is dominated


def test_the_search_never_hears_test_clips(material):
    fine = material.spectrum("8 kHz, 128")
    test = torch.from_numpy(material.split.test)
    assert fine["log_mel"][test].isnan().all()
    assert fine["noisy"].shape[:2] == (9, len(material.split.validation))
    assert not fine["log_mel"][torch.from_numpy(material.split.train)].isnan().any()
    assert not fine["noisy"].isnan().any()


def test_views_are_those_of_the_study_through_another_front_end(material):
    assert torch.equal(material.spectrum("16 kHz, 400")["views"], material.data.views)
    quiet, _ = material.heard(FrontEnd("16 kHz, 400", 2, 4))
    rows = torch.tensor([3, 1])
    views = torch.zeros(2, dtype=torch.long)
    expected = material.data.views[views, rows].float()[..., ::2].exp().unflatten(1, (10, 4)).mean(2).log()
    torch.testing.assert_close(quiet.views[views, rows], expected, atol=1e-4, rtol=0)


def test_students_learn_from_teachers_through_any_front_end(study):
    material = Material(study, epochs=1)
    assert material.targets.logits.shape == (2, len(material.split.train), 2)
    chosen = BEYOND | {"spectrum": "8 kHz, 200", "hop": 2, "merged": 2, "rnn": "mgu"}
    (error,) = errors_at_rungs(candidate(chosen), material, (1.0,))
    assert 0 <= error <= 1
    assert material.key != Material(study, epochs=1, taught=False).key
    assert Material(study, epochs=1).targets.key == material.targets.key


@pytest.mark.parametrize("key", ["search space", "data", "number of epochs"])
def test_a_study_of_something_else_is_refused(material, url, key):
    begin(url, "s", material)
    with pytest.raises(ValueError, match=f"the study 's' is of another {key} .*here other.*--study"):
        open_study(open_storage(url), "s", bound_to(material) | {key: "other"})


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("nonsense", "--storage nonsense: cannot be used"),
        ("sqlite:////dev/null/search.db", "--storage sqlite:////dev/null/search.db: cannot be used"),
        ("unknown://someone:secret@127.0.0.1/x", r"--storage unknown://someone:\*\*\*@127.0.0.1/x: cannot be used"),
    ],
)
def test_a_storage_that_cannot_be_reached(storage, message):
    with pytest.raises(ValueError, match=message) as error:
        open_storage(storage)
    assert len(str(error.value).splitlines()) == 1
    assert "secret" not in str(error.value)


def test_a_budget_that_nothing_keeps():
    least = candidate(CHEAPEST).multiplications()
    check_budget(least)
    for budget in (least - 1, 0, float("nan")):
        with pytest.raises(ValueError, match=f"the cheapest of the search space takes {least:,}"):
            check_budget(budget)


def test_a_search_without_workers_left_says_why(material, url, monkeypatch):
    def lost(*_):
        raise OSError("the server went away")
        yield

    monkeypatch.setenv("KWS_JOBS", "2")
    monkeypatch.setattr(module, "errors_at_rungs", lost)
    begin(url, "s", material)
    with pytest.raises(OSError, match="no worker is left: the server went away; finished trials are kept"):
        search(url, "s", material, Limits(trials=2))


def test_a_database_that_goes_away_is_told(material, url, monkeypatch):
    def lost(*_):
        raise OperationalError("SELECT 1", {}, Exception("the server is down\nmore"))
        yield

    monkeypatch.setattr(module, "errors_at_rungs", lost)
    begin(url, "s", material)
    with pytest.raises(OSError, match=r"^the study was lost: the server is down; finished trials are kept$"):
        search(url, "s", material, Limits(trials=2))
