"""Probabilities become detections, however they are cut, and never one word twice."""

import numpy as np
import pytest

from kws.streaming.detection import Detection, Detector, smooth

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


def test_a_detection_a_hold_off_later_counts_at_any_time():
    """Ten steps of 0.1 s are a second, whatever their sum in floating point is."""
    one = detector()
    found = [d for _ in range(500) for d in one([0.9] + [0.0] * 9)]
    assert len(found) == 500


@pytest.mark.parametrize("arguments", [(1.5, 1), (0.5, 0), (0.5, 1, -1.0)])
def test_bad_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="threshold must be"):
        detector(*arguments)
