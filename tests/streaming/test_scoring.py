"""Misses, false alarms and intervals as counted by hand, and what listens in each of the three ways."""

import math

import numpy as np
import pytest
import torch
from conftest import WEIGHTS, network, sound

import kws
from kws.model import CRNN, CRNNConfig
from kws.scenes import Scene
from kws.streaming import WAYS, Detection, Detector, Listener, StreamingModel, first_second_difference, points
from kws.streaming.intervals import poisson_interval, wilson_interval
from kws.streaming.scoring import Heard, match, threshold_for, working_points

STEP, FIRST = 1_600, 3_200  # 0.1 s, from 0.2 s on


def test_hits_misses_and_false_alarms():
    keywords = [(1.0, 1.5), (5.0, 5.5), (8.0, 8.5)]
    found = [Detection(t, 0.9) for t in (0.9, 1.9, 4.0, 6.1, 8.2)]
    score = match(found, keywords)
    assert score.keywords == 3
    assert score.delays == pytest.approx([0.4, -0.3])  # the third is heard while it is still being said
    assert score.misses == 1
    assert score.false_alarms == [0.9, 4.0, 6.1]  # 6.1 is more than half a second after 5.5


def test_each_keyword_takes_one_detection():
    score = match([Detection(1.2, 0.9), Detection(1.6, 0.9)], [(1.0, 1.5), (1.1, 1.6)])
    assert score.misses == 0
    assert match([Detection(1.2, 0.9), Detection(1.6, 0.9)], [(1.0, 1.5)]).false_alarms == [1.6]
    assert match([], [(0.0, 1.0)]).misses == 1
    assert match([], []).misses == 0
    assert math.isnan(working_points([Heard(np.zeros(5), [], 1.0)], STEP, FIRST, thresholds=[0.5])[0].miss_rate)


def test_working_points_against_counting_by_hand():
    rng = np.random.default_rng(2)
    streams = []
    for _ in range(3):
        p = rng.random(500) ** 4
        ends = np.cumsum(rng.uniform(2, 6, 9))
        for end in ends:
            p[round((end + 0.1 - 0.2) / 0.1)] = rng.uniform(0.6, 1)
        streams.append(Heard(p, [(end - 0.5, end) for end in ends], 50.2))
    for point in working_points(streams, STEP, FIRST, thresholds=[0.3, 0.7, 0.95]):
        misses = alarms = 0
        for heard in streams:
            free_from, hit = 0.0, set()
            for i, p in enumerate(heard.probabilities):
                t = 0.2 + 0.1 * i
                if p < point.threshold or t < free_from - 1e-9:
                    continue
                free_from = t + 1.0
                owners = [k for k, (s, e) in enumerate(heard.keywords) if s <= t <= e + 0.5 and k not in hit]
                alarms += not owners
                hit |= set(owners[:1])
            misses += len(heard.keywords) - len(hit)
        assert (point.misses, point.false_alarms) == (misses, alarms)
        assert point.keywords == 27
        assert point.false_alarms_per_hour == pytest.approx(alarms / (150.6 / 3600))


def test_the_chosen_threshold_has_the_fewest_misses_of_those_allowed():
    p = np.array([0.1, 0.9, 0.2, 0.1] + [0.0] * 20 + [0.6] + [0.0] * 20)
    points = working_points([Heard(p, [(0.1, 0.3)], 4.5)], STEP, FIRST, thresholds=[0.05, 0.5, 0.7, 0.95])
    best = threshold_for(points, 0.0)
    assert (best.threshold, best.misses, best.false_alarms) == (0.7, 0, 0)
    with pytest.raises(ValueError, match="no threshold"):
        threshold_for(points[:1], 0.0)


def test_a_point_without_any_detection_is_always_there():
    p = np.random.default_rng(3).random(400)
    points = working_points([Heard(p, [], 40.0)], STEP, FIRST, smoothing=3)
    assert points[-1].false_alarms == 0


def test_intervals_have_their_published_values():
    """Poisson: Garwood's table; Wilson: 10 of 100 by the formula's textbook example."""
    assert poisson_interval(0) == pytest.approx((0, 3.6889), abs=1e-3)
    assert poisson_interval(1) == pytest.approx((0.0253, 5.5716), abs=1e-3)
    assert poisson_interval(10) == pytest.approx((4.7954, 18.3904), abs=1e-3)
    assert wilson_interval(10, 100) == pytest.approx((0.0552, 0.1744), abs=1e-3)
    assert wilson_interval(0, 50)[0] == 0


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


def test_the_first_second_is_the_offline_model():
    net = network("base_model", carried=True)
    model = kws.load_model(WEIGHTS / "base_model.pt")
    assert first_second_difference(StreamingModel(net), model, sound(80_000)) <= 1e-6
    other = kws.load_model(WEIGHTS / "base_model_speaker_disjoint.pt")
    assert first_second_difference(StreamingModel(net), other, sound(80_000)) > 1e-3
