"""A word that was typed: networks begin as an ear, hear own recordings too, and are taken again where nothing changed."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import EAR, save_ear, small_ears

from kws.checkpoint import load_model, stored_tensors
from kws.data.audio import SAMPLE_RATE
from kws.data.corpus import CorpusError
from kws.data.storage import save_flac
from kws.model import CRNN
from kws.research import word_study as module
from kws.research.networks import TOGETHER
from kws.research.scene_data import Maker
from kws.research.settings import EFFORTS, Effort, Settings
from kws.research.stream_choice import SMOOTHING, read_choice
from kws.research.stream_study import StreamStudy
from kws.research.word_study import WordStudy
from kws.scenes import SceneConfig
from kws.streaming.scoring import Listener, points, threshold_for
from kws.trainer import Run


@pytest.fixture(scope="module")
def patch(tmp_path_factory):
    """A small ear, little material and one process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("word"))
        patch.setenv("KWS_JOBS", "1")
        patch.setitem(EFFORTS, "tiny", Effort(8, 8, 0.06, 0.05, 1, 2, 0.0, (1,), 1, word_scenes=24))
        config = SceneConfig(seconds=3.0)
        patch.setattr(module, "Maker", lambda sounds, cache: Maker(sounds, config, None, cache))
        small_ears(patch, "ears")
        yield patch


@pytest.fixture(scope="module")
def settings(tone_folder):
    return Settings(str(tone_folder), "high", seeds=1, epochs=50, effort="tiny", ear="ears")


def fitted(settings: Settings, folder: str, **changes) -> WordStudy:
    study = WordStudy(replace(settings, cache=f"{folder}/cache", **changes))
    study.weights = study.weights / folder
    study.fit_streams()
    return study


@pytest.fixture(scope="module")
def study(settings, patch):
    return fitted(settings, "plain")


def test_both_networks_are_saved_with_a_threshold(study):
    assert set(study.choice.thresholds) == set(study.choice.seeds) == set(study.students)
    assert all(study.path(name, module.KIND, 0).exists() for name in study.students)
    assert read_choice(study.choice_file).given == study.given


def test_the_base_begins_as_the_mean_of_teachers_that_began_as_the_ear(study):
    ear = load_model("ears/base.pt")
    begun = study.start(module.TEACHER, 3)
    assert all(torch.equal(a, b) for a, b in zip(begun.state_dict().values(), ear.state_dict().values(), strict=True))
    assert study.start("streaming_small", 0) is None
    runs = [torch.load(path, weights_only=False) for path in Path("plain/cache/runs").glob("*ear_teacher*")]
    assert len(runs) == TOGETHER[module.TEACHER]
    begun = study.start("streaming_base", 0)
    name = "recurrent.0.weight_hh_l0"
    theirs = [run["best"]["weights"][name] for run in runs]
    torch.testing.assert_close(begun.state_dict()[name], torch.stack(theirs).mean(0))
    # After one epoch of few steps it is still nearer to the ear than another network is.
    torch.manual_seed(6)
    base, other = study.stream("streaming_base").state_dict(), CRNN(EAR).state_dict()
    name = "recurrent.0.weight_hh_l0"
    assert (base[name] - ear.state_dict()[name]).norm() < 0.5 * (other[name] - ear.state_dict()[name]).norm()


def test_the_middle_begins_as_a_narrower_mean_and_is_kept_as_int8(study):
    rung, mean = study.rungs["streaming_middle"], study.start("streaming_base", 0)
    narrow = study.start("streaming_middle", 0)
    assert narrow.config == rung.config != mean.config
    stored = stored_tensors(study.path("streaming_middle", module.KIND, 0))
    assert {name: tensor.dtype for name, tensor in stored.items()} == {"values": torch.int8}


def test_thresholds_are_those_of_the_files(study):
    for name in study.students:
        found = points(Listener(study.stream(name)), study.held_out(), SMOOTHING)
        assert threshold_for(found, study.alarms_allowed[0]).threshold == study.choice.thresholds[name]


def test_nothing_is_trained_twice(study, settings, monkeypatch):
    monkeypatch.setattr(WordStudy, "_fit", lambda self: pytest.fail("trained again"))
    again = WordStudy(replace(settings, cache="plain/cache"))
    again.weights = study.weights
    again.fit_streams()
    assert repr(again.choice) == repr(study.choice)


def test_another_ear_is_another_recipe(study, settings, tmp_path):
    shutil.copytree("ears", tmp_path / "other")
    torch.manual_seed(7)
    save_ear(tmp_path / "other" / "base.pt")
    other = WordStudy(replace(settings, ear=str(tmp_path / "other")))
    assert other.recipe("streaming_base") != study.recipe("streaming_base")
    assert other.given != study.given


def recordings(folder: Path, hertz: float, count: int) -> str:
    """A folder of so many tones in faint noise."""
    folder.mkdir()
    rng = np.random.default_rng(int(hertz))
    time = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    for i in range(count):
        sound = rng.normal(0, 20, SAMPLE_RATE)
        sound[4000:12000] += 8000 * np.sin(2 * np.pi * hertz * rng.uniform(0.97, 1.03) * time)
        save_flac(torch.from_numpy(sound.astype(np.int16)), folder / f"{i}.flac", SAMPLE_RATE)
    return str(folder)


def test_own_recordings_are_trained_on_and_chosen_on_apart(study, settings, tmp_path):
    folder = recordings(tmp_path / "own", 2000, 5)
    mine = WordStudy(replace(settings, positive=folder, negative=folder))
    few = {subset: len(study.sounds(subset).keywords) for subset in ("train", "validation", "test")}
    many = {subset: len(mine.sounds(subset).keywords) for subset in ("train", "validation", "test")}
    assert many["validation"] == few["validation"] + 1
    assert many["test"] == few["test"] > 0
    assert many["train"] == few["train"] + 4  # so few voices that each recording counts once
    assert len(mine.sounds("train").recorded) == 4
    assert mine.recipe("streaming_base") != study.recipe("streaming_base")


def test_recordings_of_another_word_are_refused(settings, patch, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "unlike", lambda own, *_: [0, 1, 2])
    study = WordStudy(replace(settings, positive=recordings(tmp_path / "wrong", 400, 5)))
    with pytest.raises(CorpusError, match=r"3 of 5 recordings in .*wrong sound nothing like 'high' \(0.flac"):
        study.check_own()
    monkeypatch.setattr(module, "unlike", lambda own, *_: [4])
    assert "1 of 5" in study.check_own()
    monkeypatch.setattr(module, "unlike", lambda own, *_: [])
    assert study.check_own() == ""


def test_the_base_is_the_mean_of_its_trainings(study):
    runs = []
    for seed in range(3):
        torch.manual_seed(seed)
        runs.append(Run(CRNN(study.rungs["streaming_middle"].config), [{"validation_loss": float(seed)}], 1))
    mean = module.mean_of(runs)
    for name, weight in mean.model.named_parameters():
        wanted = torch.stack([run.model.get_parameter(name) for run in runs]).mean(0)
        torch.testing.assert_close(weight, wanted)
    assert mean.validation_loss == 0
    # What was averaged is left as it was.
    assert not torch.equal(runs[0].model.classifier.weight, mean.model.classifier.weight)


def test_a_method_of_every_study_stays_a_method():
    """One that a kind of study took for a value stopped the notebook of streams."""
    for kind in (StreamStudy, WordStudy):
        for name, value in vars(kind).items():
            for base in (base for base in kind.__mro__[1:-1] if name in vars(base)):
                assert callable(value) == callable(vars(base)[name]), f"{kind.__name__}.{name}"
