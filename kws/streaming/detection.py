"""From probabilities to detections, and how good those are: misses, false alarms per hour, and how late they come.

What counts is events, not steps. A detection within half a second after a keyword's end (or while it is still being said) is a hit;
after a detection the detector holds off for a second, so that a word is not reported twice; every other detection is a false alarm, and
two bursts are two.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from kws.data.audio import SAMPLE_RATE

TOLERANCE = 0.5  # seconds after a keyword's end in which a detection hits it
HOLD_OFF = 1.0  # seconds after a detection without another


@dataclass(frozen=True)
class Detection:
    """When, in seconds from the stream's start, and with which (smoothed) probability."""

    seconds: float
    probability: float


class Detector:
    """Turns a stream of probabilities into detections, as they come.

    Args:
        threshold: a detection needs a smoothed probability of at least this, in [0, 1].
        smoothing: number of steps whose mean is taken (fewer at the stream's start).
        step_samples, first_sample: of the streaming model: samples between two probabilities, and before the first.
        hold_off: seconds after a detection without another.
    """

    def __init__(
        self, threshold: float, smoothing: int, step_samples: int, first_sample: int, hold_off: float = HOLD_OFF
    ):
        if not (0 <= threshold <= 1 and smoothing >= 1 and hold_off >= 0):
            raise ValueError(
                f"threshold must be within 0 and 1, smoothing 1 or more, hold_off not negative; got {threshold}, {smoothing}, {hold_off}"
            )
        self.threshold, self.smoothing, self.hold_off = threshold, smoothing, hold_off
        self.step_samples, self.first_sample = step_samples, first_sample
        self.steps, self.silent_until, self.recent = 0, 0.0, np.zeros(0)

    def __call__(self, probabilities: Iterable[float]) -> list[Detection]:
        """The detections among new probabilities (steps,)."""
        new = np.asarray(probabilities, dtype=np.float64)
        smoothed = smooth(np.concatenate([self.recent, new]), self.smoothing)[len(self.recent) :]
        times = step_times(self.steps, len(new), self.step_samples, self.first_sample)
        self.steps += len(new)
        if self.smoothing > 1:
            self.recent = np.concatenate([self.recent, new])[-(self.smoothing - 1) :]
        found = []
        for i in np.flatnonzero(smoothed >= self.threshold):
            if times[i] >= self.silent_until - 1e-6:  # ten steps of 0.1 s are a second
                found.append(Detection(float(times[i]), float(smoothed[i])))
                self.silent_until = times[i] + self.hold_off
        return found


def smooth(probabilities: np.ndarray, steps: int) -> np.ndarray:
    """The mean of each value and those before it, ``steps`` together; of fewer at the beginning."""
    sums = np.concatenate([[0.0], np.cumsum(probabilities, dtype=np.float64)])
    last = np.arange(1, len(sums))
    first = np.maximum(last - steps, 0)
    return (sums[last] - sums[first]) / (last - first)


def step_times(first: int, count: int, step_samples: int, first_sample: int) -> np.ndarray:
    """Seconds of audio heard when each of ``count`` steps from number ``first`` on is there."""
    return (first_sample + step_samples * np.arange(first, first + count)) / SAMPLE_RATE


@dataclass(frozen=True)
class Score:
    """What a detector did in a stream: each keyword hit or missed, the delays of the hits in seconds after the word's end, false alarms."""

    keywords: int
    delays: list[float]
    false_alarms: list[float]

    @property
    def misses(self) -> int:
        return self.keywords - len(self.delays)


def match(
    detections: Sequence[Detection], keywords: Sequence[tuple[float, float]], tolerance: float = TOLERANCE
) -> Score:
    """Which keywords (start, end), in seconds, were detected between their start and ``tolerance`` after their end.

    A keyword takes one detection, the first; further ones in its time are false alarms (the hold-off prevents them).
    """
    delays: list[float] = []
    used: set[int] = set()
    times = np.array([d.seconds for d in detections])
    for start, end in keywords:
        inside = [int(i) for i in np.flatnonzero((times >= start) & (times <= end + tolerance)) if i not in used]
        if inside:
            used.add(inside[0])
            delays.append(float(times[inside[0]] - end))
    return Score(len(keywords), delays, [float(t) for i, t in enumerate(times) if i not in used])


@dataclass(frozen=True)
class WorkingPoint:
    """A threshold with its miss rate and false alarms, each with a 95 % interval, and the median delay in seconds."""

    threshold: float
    keywords: int
    misses: int
    false_alarms: int
    hours: float
    median_delay: float

    @property
    def miss_rate(self) -> float:
        """NaN without keywords."""
        return self.misses / self.keywords if self.keywords else float("nan")

    @property
    def false_alarms_per_hour(self) -> float:
        return self.false_alarms / self.hours

    @property
    def miss_interval(self) -> tuple[float, float]:
        return wilson_interval(self.misses, self.keywords)

    @property
    def false_alarm_interval(self) -> tuple[float, float]:
        """Per hour."""
        low, high = poisson_interval(self.false_alarms)
        return low / self.hours, high / self.hours


@dataclass(frozen=True)
class Heard:
    """A stream and what a model said to it: probabilities (steps,), the (start, end) of its keywords, and its length in seconds."""

    probabilities: np.ndarray
    keywords: Sequence[tuple[float, float]]
    seconds: float


def working_points(
    heard: Sequence[Heard], step_samples: int, first_sample: int, smoothing: int = 1, thresholds: Sequence[float] = ()
) -> list[WorkingPoint]:
    """Miss rate and false alarms over several streams at each threshold (by default 500 that spread over the highest probabilities, and one above all)."""
    if not len(thresholds):
        peaks = np.concatenate([smooth(h.probabilities, smoothing) for h in heard])
        shares = 1 - np.geomspace(1e-6, 0.3, 500)
        thresholds = np.append(
            np.unique(np.quantile(peaks, shares)), min(1.0, np.nextafter(peaks.max(), 2))
        )  # the last: silence
    hours = sum(h.seconds for h in heard) / 3600
    points = []
    for threshold in thresholds:
        scores = [
            match(Detector(float(threshold), smoothing, step_samples, first_sample)(h.probabilities), h.keywords)
            for h in heard
        ]
        delays = [delay for score in scores for delay in score.delays]
        points.append(
            WorkingPoint(
                float(threshold),
                sum(score.keywords for score in scores),
                sum(score.misses for score in scores),
                sum(len(score.false_alarms) for score in scores),
                hours,
                float(np.median(delays)) if delays else float("nan"),
            )
        )
    return points


def threshold_for(points: Sequence[WorkingPoint], false_alarms_per_hour: float) -> WorkingPoint:
    """The point of fewest misses among those with at most so many false alarms per hour; of equal ones that of fewest false alarms.

    Raises ``ValueError`` if no threshold has so few.
    """
    allowed = [p for p in points if p.false_alarms_per_hour <= false_alarms_per_hour]
    if not allowed:
        raise ValueError(f"no threshold has at most {false_alarms_per_hour} false alarms per hour")
    return min(allowed, key=lambda p: (p.misses, p.false_alarms, -p.threshold))


def poisson_interval(count: int, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a Poisson mean after seeing ``count`` events (Garwood 1936, Biometrika 28)."""
    tail = (1 - level) / 2
    low = 0.0 if count == 0 else _solve(lambda mean: _poisson_below(count, mean) - (1 - tail), count + 1.0)
    return low, _solve(lambda mean: _poisson_below(count + 1, mean) - tail, 4.0 * count + 20.0)


def wilson_interval(count: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of a share after ``count`` of ``trials`` (Wilson 1927, JASA 22)."""
    z = float(torch.special.ndtri(torch.tensor(0.5 + level / 2, dtype=torch.float64)))
    if trials == 0:
        return 0.0, 1.0
    share, spread = count / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * np.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def _poisson_below(count: int, mean: float) -> float:
    """The probability of fewer than ``count`` events."""
    return float(
        torch.special.gammaincc(
            torch.tensor(float(count), dtype=torch.float64), torch.tensor(mean, dtype=torch.float64)
        )
    )


def _solve(falling, high: float) -> float:
    """The root of a falling function between 0 and ``high``, by bisection."""
    low = 0.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2
