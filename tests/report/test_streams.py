import numpy as np
import pytest
import soundfile
import torch
from conftest import WEIGHTS, network, sound

import kws
from kws.model import CRNN, CRNNConfig
from kws.report.streams import WAYS, Listener, first_second_difference, points, points_table, talk_scene
from kws.scenes import Scene
from kws.streaming.detection import Detector, match
from kws.streaming.network import StreamingModel


@pytest.fixture(scope="module")
def model() -> CRNN:
    torch.manual_seed(0)
    return CRNN(CRNNConfig(pool=(2, 5), channels=4, kernel=(6, 4), stride=(3, 2), hidden=6)).eval()


def test_the_three_ways(model):
    waveform = sound(16_000 * 5 + 777)
    by_second = Listener(model, "reset every second")
    expected = kws.keyword_probability(model, waveform[:80_000].reshape(5, 16_000)).numpy()
    np.testing.assert_allclose(by_second(waveform), expected, atol=1e-6)
    assert by_second.step_samples == by_second.first_sample == 16_000
    for way, carried in (("state carried on", True), ("every last second", False)):
        listener = Listener(model, way)
        again = StreamingModel(listener.stream.network)
        assert again.network.carried == carried
        np.testing.assert_array_equal(listener(waveform), again(waveform).numpy())
        np.testing.assert_array_equal(listener(waveform), listener(waveform))  # it starts anew each time
    with pytest.raises(ValueError, match="no way 'backwards'"):
        Listener(model, "backwards")


def test_points_are_those_of_a_detector_on_each_stream(model):
    scenes = [Scene(sound(100_000, 1), [(1.0, 1.5), (4.0, 4.6)]), Scene(sound(90_000, 2), [])]
    for way in WAYS:
        listener = Listener(model, way)
        for point in points(listener, scenes, smoothing=2)[::40]:
            scores = [
                match(
                    Detector(point.threshold, 2, listener.step_samples, listener.first_sample)(listener(s.waveform)),
                    s.keywords,
                )
                for s in scenes
            ]
            assert point.misses == sum(s.misses for s in scores)
            assert point.false_alarms == sum(len(s.false_alarms) for s in scores)
            assert point.hours == pytest.approx(190_000 / 16_000 / 3600)
    text = points_table({"a": point, "b": points(listener, scenes[1:], thresholds=[1.0])[0]})
    assert len(text.splitlines()) == 4


def test_talk_from_a_folder_or_made(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(8_000, 0.1), 8_000)
    soundfile.write(tmp_path / "b.flac", np.full(16_000, 0.2), 16_000)
    scene = talk_scene(str(tmp_path), "happy", 1.0, 0)
    assert len(scene.waveform) == 2 * (16_000 + 8_000)
    assert scene.keywords == []
    assert len(talk_scene("", "happy", 0.1, 0).waveform) >= 0.1 * 60 * 16_000
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no sound file"):
        talk_scene(str(tmp_path / "empty"), "happy", 1.0, 0)


def test_the_first_second_is_the_offline_model():
    net = network("base_model", carried=True)
    model = kws.load_model(WEIGHTS / "base_model.pt")
    assert first_second_difference(StreamingModel(net), model, sound(80_000)) <= 1e-6
    other = kws.load_model(WEIGHTS / "base_model_speaker_disjoint.pt")
    assert first_second_difference(StreamingModel(net), other, sound(80_000)) > 1e-3
