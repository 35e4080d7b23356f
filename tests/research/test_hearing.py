"""How streams do on the test streams: counted as one would alone, heard once, equal in every form that is shipped."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from conftest import STEPS, tone

from kws.checkpoint import save_model
from kws.cost import count_macs
from kws.evaluate import provenance
from kws.model import CRNN
from kws.research.hearing import Hearing
from kws.research.settings import EFFORTS, Effort, Settings
from kws.research.stream_choice import SMOOTHING, Choice
from kws.research.stream_study import KIND, STUDENTS, StreamStudy
from kws.streaming import WAYS, Listener, TwoStage, load_stream, scoring, streaming_model
from kws.streaming.scoring import StreamListener, points

CHOICE = Choice({"streaming_base": 1, "streaming_small": 0}, dict.fromkeys(STUDENTS, 0.5), [1, 1, 1], [], {})
GROUPS = {"20 dB", "10 dB", "20 dB, near words", "10 dB, near words"}


@pytest.fixture(scope="module")
def study(tone_folder, tmp_path_factory):
    """Untrained students of two seeds, of which one each was chosen; and recorded speech."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("hearing")
        patch.chdir(folder)
        patch.setenv("KWS_JOBS", "1")
        patch.setattr(scoring, "THRESHOLDS", 40)
        patch.setitem(EFFORTS, "tiny", Effort(4, 4, 0.6, 0.05, 1, 3, 0.0, (1,), 1))
        for name in ("speech", "speech/validation"):
            (folder / name).mkdir()
            soundfile.write(folder / name / "a.wav", tone(400, 32_000), 16_000)
        settings = Settings(str(tone_folder), "high", seeds=2, effort="tiny", cache="cache", speech="speech")
        found = StreamStudy(settings)
        torch.manual_seed(0)
        for name, shape in zip(STUDENTS, (replace(STEPS, hidden=12), STEPS), strict=True):
            for seed in (0, 1):
                save_model(found.path(name, KIND, seed), CRNN(shape), provenance(found.sets[KIND], seed, {}))
        found.choice = CHOICE
        yield found


@pytest.fixture(scope="module")
def hearing(study):
    return Hearing(study)


@pytest.fixture(scope="module")
def saved(hearing):
    """What is shipped, written."""
    return hearing.ship()


def same(found, wanted) -> None:
    """Two lists of working points, up to the rounding of thresholds, for the order of sums depends on the length of a batch."""
    np.testing.assert_allclose(
        [list(vars(point).values()) for point in found], [list(vars(p).values()) for p in wanted], rtol=1e-6
    )


def test_every_keyword_of_the_test_speakers_is_said_once_in_each_stream(study, hearing):
    said = len(study.words("test").keywords)
    assert said == 8
    counts = {name: len(scene.keywords) for name, scene in hearing.scenes.items()}
    streams = ["20 dB", "10 dB", "5 dB", "0 dB", "20 dB, near words", "10 dB, near words"]
    assert counts == dict.fromkeys(streams, said) | {"talk": 0, "validation speech": 0}
    assert len(hearing.scenes["talk"].waveform) >= 0.05 * 60 * 16_000
    assert set(hearing.groups) == GROUPS
    assert hearing.judged == [name for name in hearing.scenes if name != "20 dB, near words"]
    without = StreamStudy(replace(study.settings, speech=""))
    assert "validation speech" not in Hearing(without).scenes


def test_the_example_holds_one_keyword(hearing):
    scene = hearing.example()
    assert len(scene.keywords) == 1
    assert torch.equal(scene.waveform, hearing.example().waveform)


def test_curves_are_those_of_each_seed_alone(study, hearing):
    assert list(hearing.listeners) == [f"{name}, seed {seed}" for name in STUDENTS for seed in (0, 1)]
    assert set(hearing.curves) == {(name, group) for name in hearing.listeners for group in GROUPS}
    for name, seed, group in (("streaming_base", 0, "20 dB, near words"), ("streaming_small", 1, "10 dB")):
        alone = points(
            Listener(study.stream(name, seed)), [hearing.scenes[scene] for scene in (group, "talk")], SMOOTHING
        )
        same(hearing.curves[f"{name}, seed {seed}", group], alone)


def test_any_number_of_jobs_hears_the_same(study, hearing, monkeypatch):
    monkeypatch.setenv("KWS_JOBS", "2")
    other = Hearing(study)
    other.scenes = hearing.scenes
    for pair, found in other.curves.items():
        same(found, hearing.curves[pair])


def test_what_was_heard_is_not_heard_again(hearing):
    heard = []

    class Counted(Listener):
        def __call__(self, waveform):
            heard.append(len(waveform))
            return super().__call__(waveform)

    torch.manual_seed(0)
    listeners = {"counted": Counted(CRNN(STEPS).eval())}
    first = hearing.points(listeners, {"a": ["10 dB", "talk"], "b": ["talk"]})
    assert sorted(heard) == sorted(len(hearing.scenes[name].waveform) for name in ("10 dB", "talk"))
    same(hearing.points(listeners, {"c": ["talk"]})["counted", "c"], first["counted", "b"])
    hearing.points(listeners, {"d": ["5 dB"]}, smoothing=1)
    assert len(heard) == 3


def test_shipped_thresholds_are_judged_on_the_chosen_seeds(study, hearing):
    found = hearing.shipped()
    assert list(found) == [(name, scene) for name in STUDENTS for scene in hearing.judged]
    for name in STUDENTS:
        assert hearing.chosen(name) == f"{name}, seed {CHOICE.seeds[name]}"
        listener = Listener(study.stream(name, CHOICE.seeds[name]))
        for scene in ("10 dB", "talk"):
            same([found[name, scene]], points(listener, [hearing.scenes[scene]], SMOOTHING, [0.5]))


def test_a_seed_that_was_chosen_of_more_seeds_is_heard(study, hearing):
    fewer = StreamStudy(replace(study.settings, seeds=1))
    fewer.choice = CHOICE
    assert list(Hearing(fewer).listeners) == [
        f"{STUDENTS[0]}, seed 0",
        f"{STUDENTS[0]}, seed 1",
        f"{STUDENTS[1]}, seed 0",
    ]
    assert set(Hearing(fewer).shipped()) == {(name, scene) for name in STUDENTS for scene in hearing.judged}


def test_three_ways_to_stream_a_network_of_clips(hearing):
    torch.manual_seed(2)
    base = CRNN(STEPS).eval()
    found = hearing.ways(base)
    assert list(found) == list(WAYS)
    for way in WAYS:
        same(found[way], points(Listener(base, way), [hearing.scenes["10 dB"], hearing.scenes["talk"]], 1))


def test_equal_however_it_is_cut_and_equal_to_the_model_on_clips(hearing):
    found = hearing.equality()
    assert [(row.name, row.way) for row in found] == [(name, way) for name in STUDENTS for way in (WAYS[0], WAYS[2])]
    assert max(row.cuttings for row in found) < 1e-5
    assert max(row.offline for row in found) < 1e-5


def test_what_is_shipped_is_what_was_chosen(study, hearing, saved):
    assert [path.name for path in hearing.stream_files()] == [
        "streaming_base.pt",
        "streaming_base.onnx",
        "streaming_small.pt",
        "streaming_small.onnx",
        "streaming_two_stage.pt",
    ]
    sound = hearing.scenes["10 dB"].waveform[:48_000]
    for row, name in zip(saved, STUDENTS, strict=True):
        path = hearing.stream_file(f"{name}.pt")
        assert (row.name, row.torchscript_bytes) == (name, path.stat().st_size)
        assert row.onnx_bytes == path.with_suffix(".onnx").stat().st_size
        assert row.macs == count_macs(study.stream(name))
        assert row.difference < 1e-5
        stream = load_stream(path)
        assert (stream.keyword, stream.threshold, stream.smoothing) == ("high", 0.5, SMOOTHING)
        with torch.no_grad():
            offline = Listener(study.stream(name))(sound)
            np.testing.assert_allclose(stream(sound).numpy(), offline, atol=1e-5)


def test_a_report_compares_what_is_there(study, hearing, saved):
    times = {path: path.stat().st_mtime_ns for path in hearing.stream_files()}
    report = StreamStudy(replace(study.settings, report=True))
    report.choice = CHOICE
    again = Hearing(report)
    again.scenes = hearing.scenes
    assert again.ship() == saved
    assert {path: path.stat().st_mtime_ns for path in again.stream_files()} == times


def test_two_stages(study, hearing, saved):
    fixed, shares, curves = hearing.two_stages()
    assert list(fixed) == list(shares) == hearing.judged
    assert set(curves) == GROUPS
    stages = [
        streaming_model(study.path(name, KIND, CHOICE.seeds[name]), threshold=0.5, smoothing=SMOOTHING)
        for name in reversed(STUDENTS)
    ]
    both = TwoStage(*stages)
    alone = StreamListener(both)
    for scene in ("5 dB", "talk"):
        same([fixed[scene]], points(alone, [hearing.scenes[scene]], 1, [0.5]))
        assert shares[scene] == both.second_steps / both.steps
    assert all(0 <= share <= 1 for share in shares.values())
    same(curves["10 dB"], points(alone, [hearing.scenes["10 dB"], hearing.scenes["talk"]], 1))
