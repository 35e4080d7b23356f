"""How good a model that listens is: misses, false alarms per hour, and how late it detects.

What counts is events, not steps. A detection within half a second after a keyword's end, or while it is being said,
is a hit. Every other detection is a false alarm, and two bursts are two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from kws.data.audio import SAMPLE_RATE
from kws.model import CRNN
from kws.streaming.detection import Detection, Detector, smooth
from kws.streaming.equality import seconds
from kws.streaming.intervals import poisson_interval, wilson_interval
from kws.streaming.model import StreamingModel
from kws.streaming.network import StreamingCRNN

TOLERANCE = 0.5  # seconds after a keyword's end in which a detection hits it
THRESHOLDS = 500  # working points that are looked at by default
WAYS = CARRIED, EACH_SECOND, LAST_SECOND = ("state carried on", "reset every second", "every last second")
SECONDS_AT_ONCE = 256  # clips of a second in a batch


@dataclass(frozen=True)
class Score:
    """What a detector did in a stream.

    Attributes:
        keywords: how many were said.
        delays: of the hits, in seconds after the word's end.
        false_alarms: when, in seconds.
    """

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

    A keyword takes one detection, the first. Further ones in its time are false alarms.
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
    """What a model does at a threshold; ``median_delay`` in seconds is NaN without a hit. Intervals are of 95 %."""

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
    """What a model said to a stream: probabilities (steps,), its keywords (start, end), its length in seconds."""

    probabilities: np.ndarray
    keywords: Sequence[tuple[float, float]]
    seconds: float


def working_points(
    heard: Sequence[Heard], step_samples: int, first_sample: int, smoothing: int = 1, thresholds: Sequence[float] = ()
) -> list[WorkingPoint]:
    """Miss rate and false alarms over several streams at each threshold.

    By default 500 thresholds are spread over the highest probabilities, and one lies above all.
    """
    if not len(thresholds):
        peaks = np.concatenate([smooth(h.probabilities, smoothing) for h in heard])
        spread = np.unique(np.quantile(peaks, 1 - np.geomspace(1e-6, 0.3, THRESHOLDS)))
        thresholds = np.append(spread, min(1.0, np.nextafter(peaks.max(), 2)))
    hours = sum(h.seconds for h in heard) / 3600
    points = []
    for threshold in map(float, thresholds):
        scores = [
            match(Detector(threshold, smoothing, step_samples, first_sample)(h.probabilities), h.keywords)
            for h in heard
        ]
        keywords, misses = sum(score.keywords for score in scores), sum(score.misses for score in scores)
        alarms = sum(len(score.false_alarms) for score in scores)
        delays = [delay for score in scores for delay in score.delays]
        median = float(np.median(delays)) if delays else float("nan")
        points.append(WorkingPoint(threshold, keywords, misses, alarms, hours, median))
    return points


def threshold_for(points: Sequence[WorkingPoint], false_alarms_per_hour: float) -> WorkingPoint:
    """The point of fewest misses with at most so many false alarms per hour; of equal ones that of fewest alarms.

    Raises ``ValueError`` if no threshold has so few.
    """
    allowed = [p for p in points if p.false_alarms_per_hour <= false_alarms_per_hour]
    if not allowed:
        raise ValueError(f"no threshold has at most {false_alarms_per_hour} false alarms per hour")
    return min(allowed, key=lambda p: (p.misses, p.false_alarms, -p.threshold))


class Stream(Protocol):
    """What is listened to, such as a scene: waveform (samples,), and the (start, end) of each keyword in seconds."""

    waveform: Tensor
    keywords: Sequence[tuple[float, float]]


class Listens(Protocol):
    """What listens: a waveform (samples,) to probabilities (steps,), from a reset on."""

    step_samples: int
    first_sample: int

    def __call__(self, waveform: Tensor) -> np.ndarray: ...


def points(
    listener: Listens, streams: Sequence[Stream], smoothing: int = 1, thresholds: Sequence[float] = ()
) -> list[WorkingPoint]:
    """Miss rate and false alarms of a listener in all streams together at many thresholds."""
    heard = [Heard(listener(s.waveform), s.keywords, len(s.waveform) / SAMPLE_RATE) for s in streams]
    return working_points(heard, listener.step_samples, listener.first_sample, smoothing, thresholds)


@dataclass(frozen=True)
class Listener:
    """A model and one of the three ways to stream it. Raises ``ValueError`` for another way.

    "state carried on": the recurrent layers never start again.
    "every last second": at each step the offline model on the last second.
    "reset every second": the stream is cut into seconds, and each is a clip: one probability a second.
    """

    model: CRNN
    way: str = CARRIED

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise ValueError(f"no way {self.way!r} to stream; there are {', '.join(WAYS)}")

    @cached_property
    def stream(self) -> StreamingModel:
        return StreamingModel(StreamingCRNN(self.model, self.way != LAST_SECOND))

    @property
    def step_samples(self) -> int:
        return SAMPLE_RATE if self.way == EACH_SECOND else self.stream.step_samples

    @property
    def first_sample(self) -> int:
        return SAMPLE_RATE if self.way == EACH_SECOND else self.stream.first_sample

    @torch.inference_mode()
    def __call__(self, waveform: Tensor) -> np.ndarray:
        """Probabilities (steps,) of a waveform (samples,) from a reset on."""
        if self.way != EACH_SECOND:
            self.stream.reset()
            return self.stream(waveform).numpy()
        network, clips = self.stream.network, seconds(waveform)
        parts = [network(batch, network.start(len(batch)))[0][:, -1] for batch in clips.split(SECONDS_AT_ONCE)]
        return torch.cat(parts).numpy()


@dataclass(frozen=True)
class StreamListener:
    """A streaming model, such as ``load_stream`` gives, as a ``Listener``."""

    stream: nn.Module

    @property
    def step_samples(self) -> int:
        return self.stream.step_samples

    @property
    def first_sample(self) -> int:
        return self.stream.first_sample

    @torch.inference_mode()
    def __call__(self, waveform: Tensor) -> np.ndarray:
        self.stream.reset()
        return self.stream(waveform).numpy()
