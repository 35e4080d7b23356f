import math

import numpy as np
import pytest

from kws.streaming.detection import (
    Detection,
    Detector,
    Heard,
    match,
    poisson_interval,
    smooth,
    threshold_for,
    wilson_interval,
    working_points,
)

STEP, FIRST = 1_600, 3_200  # 0.1 s, from 0.2 s on


def detector(threshold: float = 0.5, smoothing: int = 1, hold_off: float = 1.0) -> Detector:
    return Detector(threshold, smoothing, STEP, FIRST, hold_off)


def times(detections: list[Detection]) -> list[float]:
    return [round(d.seconds, 3) for d in detections]


def test_two_bursts_are_two_detections_and_one_long_one_repeats_only_after_the_hold_off():
    p = np.zeros(60)
    p[[3, 4, 20, 21]] = 0.9
    assert times(detector()(p)) == [0.5, 2.2]
    p[:] = 0.9
    assert times(detector()(p)) == [0.2, 1.2, 2.2, 3.2, 4.2, 5.2]


def test_a_threshold_is_reached_by_equality():
    assert len(detector(0.5)([0.4999])) == 0
    assert len(detector(0.5)([0.5])) == 1


@pytest.mark.parametrize("smoothing", [1, 2, 5])
def test_cutting_the_probabilities_changes_nothing(smoothing):
    rng = np.random.default_rng(0)
    p = rng.random(300) ** 3
    whole = detector(0.6, smoothing)(p)
    for _ in range(20):
        cuts = np.sort(rng.integers(0, 301, 12))
        one = detector(0.6, smoothing)
        parts = [found for part in np.split(p, cuts) for found in one(part)]
        assert times(parts) == times(whole)
        assert [d.probability for d in parts] == pytest.approx([d.probability for d in whole])
    assert len(whole) >= 2


def test_smoothing_is_the_mean_of_the_last_steps():
    p = np.random.default_rng(1).random(50)
    for steps in (1, 3, 7):
        expected = [p[max(0, i - steps + 1) : i + 1].mean() for i in range(50)]
        np.testing.assert_allclose(smooth(p, steps), expected)


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


def test_a_detection_a_hold_off_later_counts_at_any_time():
    """Ten steps of 0.1 s are a second, whatever their sum in floating point is."""
    one = detector()
    found = [d for _ in range(500) for d in one([0.9] + [0.0] * 9)]
    assert len(found) == 500


def test_intervals_have_their_published_values():
    """Poisson: Garwood's table; Wilson: 10 of 100 by the formula's textbook example."""
    assert poisson_interval(0) == pytest.approx((0, 3.6889), abs=1e-3)
    assert poisson_interval(1) == pytest.approx((0.0253, 5.5716), abs=1e-3)
    assert poisson_interval(10) == pytest.approx((4.7954, 18.3904), abs=1e-3)
    assert wilson_interval(10, 100) == pytest.approx((0.0552, 0.1744), abs=1e-3)
    assert wilson_interval(0, 50)[0] == 0


@pytest.mark.parametrize("arguments", [(1.5, 1), (0.5, 0), (0.5, 1, -1.0)])
def test_bad_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="threshold must be"):
        detector(*arguments)
