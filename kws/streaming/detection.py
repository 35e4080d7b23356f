"""From probabilities to detections: smoothed, above a threshold, and not one word twice.

What counts is events, not steps: after a detection the detector holds off for a second.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kws.data.audio import SAMPLE_RATE

HOLD_OFF = 1.0  # seconds after a detection without another


@dataclass(frozen=True)
class Detection:
    """When, in seconds from the stream's start, and with which smoothed probability."""

    seconds: float
    probability: float


class Detector:
    """Turns a stream of probabilities into detections, as they come. Raises ``ValueError`` for other settings.

    Args:
        threshold: within 0 and 1; a detection needs a smoothed probability of at least this.
        smoothing: steps whose mean is taken, 1 or more; fewer at the stream's start.
        step_samples: of the streaming model, samples between two probabilities.
        first_sample: of the streaming model, samples heard when the first probability is there.
        hold_off: seconds after a detection without another.
    """

    def __init__(
        self, threshold: float, smoothing: int, step_samples: int, first_sample: int, hold_off: float = HOLD_OFF
    ):
        if not (0 <= threshold <= 1 and smoothing >= 1 and hold_off >= 0):
            raise ValueError(
                "threshold must be within 0 and 1, smoothing 1 or more, hold_off not negative; "
                f"got {threshold}, {smoothing}, {hold_off}"
            )
        self.threshold, self.smoothing, self.hold_off = threshold, smoothing, hold_off
        self.step_samples, self.first_sample = step_samples, first_sample
        self.steps, self.silent_until, self.recent = 0, 0.0, np.zeros(0)

    def __call__(self, probabilities: Iterable[float]) -> list[Detection]:
        """The detections among new probabilities (steps,)."""
        # Smoothed with the last steps of what came before.
        new = np.asarray(probabilities, dtype=np.float64)
        smoothed = smooth(np.concatenate([self.recent, new]), self.smoothing)[len(self.recent) :]
        times = step_times(self.steps, len(new), self.step_samples, self.first_sample)
        self.steps += len(new)
        if self.smoothing > 1:
            self.recent = np.concatenate([self.recent, new])[-(self.smoothing - 1) :]
        # Events: after one, none for a while.
        found = []
        for i in np.flatnonzero(smoothed >= self.threshold):
            if times[i] >= self.silent_until - 1e-6:  # ten steps of 0.1 s are a second
                found.append(Detection(float(times[i]), float(smoothed[i])))
                self.silent_until = times[i] + self.hold_off
        return found


def smooth(probabilities: np.ndarray, steps: int) -> np.ndarray:
    """Probabilities (any,) to the mean of each and those before it, ``steps`` together; of fewer at the beginning."""
    sums = np.concatenate([[0.0], np.cumsum(probabilities, dtype=np.float64)])
    last = np.arange(1, len(sums))
    first = np.maximum(last - steps, 0)
    return (sums[last] - sums[first]) / (last - first)


def step_times(first: int, count: int, step_samples: int, first_sample: int) -> np.ndarray:
    """Seconds (count,) of sound heard when each of ``count`` steps from number ``first`` on is there."""
    return (first_sample + step_samples * np.arange(first, first + count)) / SAMPLE_RATE
