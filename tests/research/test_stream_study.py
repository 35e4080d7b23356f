"""Networks of streams from scenes to saved weights and chosen thresholds, with and without an embedding, on a corpus of tones."""

import shutil
from dataclasses import replace

import pytest
import torch
from conftest import STEPS, MeanEmbedding

from kws.checkpoint import load_model, load_provenance
from kws.research import material
from kws.research import stream_study as module
from kws.research.networks import STREAMS
from kws.research.scene_data import Maker
from kws.research.settings import EFFORTS, Effort, Settings
from kws.research.stream_choice import AT_MOST, SHOWN, Choice, Material, read_choice, validation_scenes, write_choice
from kws.research.stream_study import KIND, STUDENTS, StreamStudy
from kws.research.stream_teacher import StreamTeacher, StreamTeacherConfig
from kws.research.study import NotTrained
from kws.scenes import SceneConfig
from kws.streaming import scoring
from kws.streaming.scoring import WorkingPoint


@pytest.fixture(scope="module")
def patch(tmp_path_factory):
    """Small networks, little material, a quick embedding, and one process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("streams"))
        patch.setenv("KWS_JOBS", "1")
        patch.setattr(scoring, "THRESHOLDS", 40)
        patch.setattr(material, "SPEAKERS", 10)
        patch.setattr(material, "FEW_SPEAKERS", 10)
        patch.setitem(EFFORTS, "tiny", Effort(24, 8, 0.06, 0.05, 1, 2, 0.0, (1,), 1))
        patch.setitem(EFFORTS, "tinier", Effort(8, 4, 0.03, 0.05, 1, 2, 0.0, (1,), 1))
        config = SceneConfig(seconds=3.0)
        patch.setattr(module, "Maker", lambda sounds, embedding, cache: Maker(sounds, config, embedding, cache))
        patch.setattr(module, "load_speech_embedding", lambda path: MeanEmbedding())
        for name, rung in STREAMS.items():
            small = StreamTeacherConfig(width=8, layers=1) if "embedding" in name else STEPS
            patch.setitem(STREAMS, name, replace(rung, config=small))
        yield patch


@pytest.fixture(scope="module")
def settings(tone_folder):
    return Settings(str(tone_folder), "high", seeds=2, epochs=4, effort="tiny")


def fitted(settings: Settings, folder: str, **changes) -> tuple[StreamStudy, dict]:
    """A study that has trained, its results below a folder of its own; and its runs by name and seed."""
    study = StreamStudy(replace(settings, cache=f"{folder}/cache", **changes))
    study.weights, runs, save = study.weights / folder, {}, study.save_run
    study.save_run = lambda job, run: runs.update({(job[0], job[2]): run}) or save(job, run)
    study.fit_streams()
    return study, runs


@pytest.fixture(scope="module")
def plain(settings, patch):
    return fitted(settings, "plain")


@pytest.fixture(scope="module")
def embedded(settings, patch):
    return fitted(settings, "embedded", seeds=1, embedding="of some kind")


@pytest.fixture(scope="module")
def tinier(settings, patch):
    return fitted(settings, "tinier", seeds=1, effort="tinier")[0]


@pytest.fixture
def nothing_is_trained(monkeypatch):
    monkeypatch.setattr(module, "train_stream", lambda *args: pytest.fail("trained again"))


def again(study: StreamStudy, **changes) -> StreamStudy:
    """As a notebook that is run another time."""
    other = StreamStudy(replace(study.settings, **changes))
    other.weights = study.weights
    return other


def test_from_scenes_to_weights(plain):
    study, runs = plain
    assert set(runs) == {(name, seed) for name in ("streaming_teacher", *STUDENTS) for seed in (0, 1)}
    # Of 72 and 36 candidates 18 and 9 are kept; students hear as many scenes again as there were at first.
    assert study.choice.scenes == [24, 24 + 27, 24 + 27 + 24]
    log_mel = torch.randn(2, 40, 101, generator=torch.Generator().manual_seed(0))
    for (name, seed), run in runs.items():
        path = study.path(name, KIND, seed)
        with torch.no_grad():
            torch.testing.assert_close(load_model(path)(log_mel), run.model(log_mel), rtol=1e-4, atol=1e-4)
        about = load_provenance(path)
        assert (about.keyword, about.split, about.seed) == ("high", study.splits[KIND].fingerprint, seed)
        assert about.metrics == {"validation loss": run.validation_loss}
        assert not any(key.startswith("error of ") for key in run.history[0])
        curve = study.curves(name, kinds=(KIND,))[f"seed {seed}"]
        assert (len(curve.history), curve.best_epoch) == (len(run.history), len(run.history))


def test_with_an_embedding_one_more_kind_of_teacher_and_a_layer_that_is_pulled(embedded):
    study, runs = embedded
    kinds = ("streaming_teacher", "embedding_teacher", *STUDENTS)
    assert set(runs) == {(name, 0) for name in kinds}
    # Each scout keeps its own, some of them the same: 9 each in the first round, 4 in the second.
    at_first, mined, for_students = study.choice.scenes
    assert at_first + 13 <= mined <= at_first + 26
    assert for_students == mined + 24
    for (name, _), run in runs.items():
        pulled = [key for key in run.history[0] if key.startswith("error of ")]
        towards = ["error of recurrent.0, embedding"]
        assert pulled == (towards if name in ("streaming_teacher", "streaming_base") else [])
    assert isinstance(load_model(study.path("embedding_teacher", KIND, 0)), StreamTeacher)
    first = ["scout, seed 0", "embedding scout, seed 0"]
    assert list(study.choice.validation) == first + [f"{name}, seed 0" for name in kinds]


def test_the_seed_of_fewest_misses_on_validation_is_chosen(plain):
    study, _ = plain
    choice = study.choice
    assert SHOWN[0] == AT_MOST
    assert list(choice.seeds) == list(choice.thresholds) == list(STUDENTS)
    for name in STUDENTS:
        points = [choice.validation[f"{name}, seed {seed}"][0] for seed in (0, 1)]
        assert choice.seeds[name] == min((0, 1), key=lambda seed: points[seed].misses)
        assert choice.thresholds[name] == points[choice.seeds[name]].threshold
        chosen = load_model(study.path(name, KIND, choice.seeds[name])).state_dict()
        for key, tensor in study.stream(name).state_dict().items():
            assert torch.equal(tensor, chosen[key])
    keywords, others = validation_scenes(study)
    assert len(keywords.keywords) == len(study.words("validation").keywords)
    assert (len(others.waveform), others.keywords) == (30 * 16_000, [])
    for made in choice.material:
        sounds = study.sounds(made.subset)
        assert (made.keywords, made.talk_phrases) == (len(sounds.keywords), len(sounds.talk))
        assert made.talk_minutes == pytest.approx(sum(map(len, sounds.talk)) / 16_000 / 60)


def test_a_choice_reads_as_it_was_written(tmp_path):
    point = WorkingPoint(0.25, 8, 1, 2, 0.5, 0.125)
    material = Material("train", 1, 2, 3, 4.5, 6, 7.5)
    for choice in (
        Choice({"a": 1}, {"a": 0.5}, [1, 2, 3], [material], {"a, seed 1": [point, point]}, "by hand", ["speech"]),
        Choice({}, {}, [], [], {}),
    ):
        write_choice(tmp_path / "choice.json", choice)
        assert read_choice(tmp_path / "choice.json") == choice
    assert read_choice(tmp_path / "gone.json") is None
    for damaged in ("", "[]", "{}", '{"material": [], "validation": {"a": [{}]}}'):
        (tmp_path / "choice.json").write_text(damaged)
        assert read_choice(tmp_path / "choice.json") is None


def test_what_is_there_is_not_trained_again(plain, embedded, nothing_is_trained):
    for study, _ in (plain, embedded):
        for other in (again(study), again(study, report=True), again(study, seeds=1)):
            other.fit_streams()
            assert repr(other.choice) == repr(study.choice)
    # A report has no material but the weights; who trains gets what was asked for.
    study, _ = embedded
    report = again(study, embedding="", report=True)
    report.fit_streams()
    assert report.choice.seeds == study.choice.seeds
    with pytest.raises(pytest.fail.Exception):
        again(study, embedding="").fit_streams()
    with pytest.raises(pytest.fail.Exception):
        again(study, anew=True).fit_streams()


def test_other_speech_is_other_material(tinier, tmp_path):
    """In a folder of the same name."""
    (tmp_path / "speech").mkdir()
    study, given = again(tinier, speech=str(tmp_path / "speech")), []
    for content in (b"one", b"one", b"two"):
        (tmp_path / "speech" / "a.wav").write_bytes(content)
        given.append(study.given)
    assert given[0] == given[1] != given[2]
    assert again(tinier).given == []


@pytest.mark.parametrize("change", [{"epochs": 9}, {"effort": "small"}, {"split_seed": 1}])
def test_a_report_takes_no_other_training(plain, change, nothing_is_trained):
    with pytest.raises(NotTrained, match=r"streaming_base-speaker-disjoint-0\.pt: not there, or of another"):
        again(plain[0], report=True, **change).fit_streams()


def test_a_report_without_its_choice_says_so(plain):
    study, _ = plain
    kept = study.choice_file.read_bytes()
    study.choice_file.unlink()
    try:
        with pytest.raises(NotTrained, match=r"streaming_choice\.json"):
            again(study, report=True).fit_streams()
    finally:
        study.choice_file.write_bytes(kept)


def test_a_killed_process_leaves_no_choice_beside_other_weights(tinier, monkeypatch, tmp_path):
    shutil.copytree(tinier.weights, tmp_path / "weights")
    study = again(tinier, epochs=9)
    study.weights = tmp_path / "weights"
    with monkeypatch.context() as patch:
        patch.setattr(module, "choose", lambda *args: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            study.fit_streams()
    with pytest.raises(NotTrained, match=r"streaming_choice\.json"):
        again(study, report=True).fit_streams()


def test_any_number_of_jobs_makes_the_same(settings, embedded, monkeypatch):
    """Teachers with dropout too."""
    monkeypatch.setenv("KWS_JOBS", "2")
    alone, _ = embedded
    study, _ = fitted(settings, "two jobs", seeds=1, embedding="of some kind")
    files = [path.name for path in alone.weights.glob("seeds/*.pt")]
    assert len(files) == 4
    for name in (*files, alone.choice_file.name):
        assert (study.weights / "seeds" / name).read_bytes() == (alone.weights / "seeds" / name).read_bytes()


def test_schedules_follow_the_number_of_scenes(plain):
    study, _ = plain
    rung = STREAMS["streaming_small"]
    for scenes, batch in ((100, 32), (90 * 64, 64), (1_000_000, 256)):
        config = study.stream_config(rung, scenes)
        assert (config.batch, config.epochs, config.keep) == (batch, 5, "last")  # twice the recipe: with small effort
        assert config.learning_rate == pytest.approx(rung.learning_rate * (batch / 256) ** 0.5)
        assert (config.clean_share, config.label_smoothing) == (0, 0)
    assert [len(again(study, seeds=5).seeds(name)) for name in ("streaming_teacher", "streaming_base")] == [2, 5]
    assert again(study, effort="full").stream_config(rung, 100).epochs == 2
