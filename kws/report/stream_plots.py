"""The pictures of streams. Each function returns a matplotlib figure that stands alone: title, axes, units."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from torch import Tensor

from kws.data.audio import SAMPLE_RATE
from kws.features import HOP, LogMel
from kws.report.style import KEYWORD_COLOUR, WIDTH, legend_below, reader_name
from kws.scenes import Scene
from kws.streaming.detection import Detection, Detector, step_times
from kws.streaming.scoring import TOLERANCE, Listens, WorkingPoint

LOUDNESS = {"vmin": -18, "vmax": 4}  # of log-mels
MOST_ALARMS = 200  # an hour, on the axis
FEW_ALARMS = 0.5  # an hour, below which the axis goes on evenly down to 0
SHADES = {"keyword": 0.3, "half a second after it, in which a detection counts": 0.1}


@dataclass(frozen=True)
class Trace:
    """What a model said to a stream, and the working point at which it detects.

    Attributes:
        probabilities: (steps,), as of a reset.
        step_samples, first_sample: of the model.
        threshold, smoothing: of the detector.
    """

    probabilities: np.ndarray
    step_samples: int
    first_sample: int
    threshold: float
    smoothing: int

    @classmethod
    def of(cls, listener: Listens, waveform: Tensor, threshold: float, smoothing: int) -> "Trace":
        """What a listener says to a waveform (samples,)."""
        return cls(listener(waveform), listener.step_samples, listener.first_sample, threshold, smoothing)

    @property
    def seconds(self) -> np.ndarray:
        """When each probability is there (steps,)."""
        return step_times(0, len(self.probabilities), self.step_samples, self.first_sample)

    @property
    def detections(self) -> list[Detection]:
        """What the detector makes of it."""
        detector = Detector(self.threshold, self.smoothing, self.step_samples, self.first_sample)
        return detector(self.probabilities)


def plot_scene(scene: Scene, labels: Tensor, heading: str) -> Figure:
    """Waveform, log-mel and frame labels (1 keyword, 0 not, below 0 neither) of a scene, its keywords shaded."""
    figure, axes = plt.subplots(3, 1, figsize=(12, 5.6), sharex=True, height_ratios=(1, 2, 0.5), layout="constrained")
    axes[0].plot(np.arange(len(scene.waveform)) / SAMPLE_RATE, scene.waveform.numpy(), linewidth=0.3)
    axes[0].set(ylabel="amplitude\n(1: full scale)", title=heading)
    log_mel = LogMel()(scene.waveform[None])[0].numpy()  # (n_mels, frames)
    seconds = log_mel.shape[1] * HOP / SAMPLE_RATE
    extent = (0, seconds, 0, log_mel.shape[0])
    image = axes[1].imshow(log_mel, origin="lower", aspect="auto", extent=extent, **LOUDNESS)
    axes[1].set_ylabel("mel band")
    figure.colorbar(image, ax=axes[1], label="log-mel\n(ln of power)")
    time, labels = np.arange(len(labels)) * HOP / SAMPLE_RATE, labels.numpy()
    for chosen, colour in ((labels == 1, KEYWORD_COLOUR), (labels < 0, "lightgrey")):
        axes[2].fill_between(time, 0, chosen, step="post", color=colour)
    axes[2].set(ylabel="label", yticks=[], ylim=(0, 1), xlabel="time (s)", xlim=(0, seconds))
    for start, end in scene.keywords:
        for above in axes[:2]:
            above.axvspan(start, end, color=KEYWORD_COLOUR, alpha=0.25)
    handles = [
        Patch(color=KEYWORD_COLOUR, alpha=0.25),
        Patch(color=KEYWORD_COLOUR),
        Patch(color="lightgrey"),
        Patch(facecolor="white", edgecolor="grey"),
    ]
    legend_below(
        figure, handles, ["keyword is said", "label: keyword", "label: not judged", "label: not the keyword"], 4
    )
    return figure


def plot_stream(scene: Scene, traces: dict[str, Trace], span: tuple[float, float], heading: str) -> Figure:
    """A stretch, between two seconds, of a stream: its waveform above the probabilities of each model."""
    figure, axes = plt.subplots(
        1 + len(traces), 1, figsize=(12, 2.6 + 1.7 * len(traces)), sharex=True, layout="constrained"
    )
    begin, end = (min(int(t * SAMPLE_RATE), len(scene.waveform)) for t in span)
    axes[0].plot(np.arange(begin, end) / SAMPLE_RATE, scene.waveform[begin:end].numpy(), linewidth=0.3)
    axes[0].set(ylabel="amplitude\n(1: full scale)", title=heading, xlim=span)
    for below, (name, trace) in zip(axes[1:], traces.items(), strict=True):
        below.plot(trace.seconds, trace.probabilities, linewidth=0.9)
        below.axhline(trace.threshold, color="grey", linewidth=0.7, linestyle="--")
        inside = [d for d in trace.detections if span[0] <= d.seconds <= span[1]]
        below.plot([d.seconds for d in inside], [1.1] * len(inside), "v", color="black", markersize=6)
        below.set(ylabel=f"probability,\n{reader_name(name)}", ylim=(-0.05, 1.22), yticks=(0, 0.5, 1))
    # Keywords, and how long after them a detection still counts.
    inside = [(start, stop) for start, stop in scene.keywords if span[0] <= stop and start <= span[1]]
    for shaded in axes:
        for start, stop in inside:
            for (left, right), alpha in zip(((start, stop), (stop, stop + TOLERANCE)), SHADES.values(), strict=True):
                shaded.axvspan(left, right, color=KEYWORD_COLOUR, alpha=alpha, linewidth=0)
    axes[-1].set_xlabel("time (s)")
    handles = [Line2D([], [], marker="v", color="black", linestyle=""), Line2D([], [], color="grey", linestyle="--")]
    handles += [Patch(color=KEYWORD_COLOUR, alpha=alpha) for alpha in SHADES.values()]
    legend_below(figure, handles, ["detection", "threshold", *SHADES], 4)
    return figure


def plot_detection(
    curves: dict[str, Sequence[WorkingPoint]], bars: dict[str, tuple[float, float]], heading: str
) -> Figure:
    """Keywords missed against false alarms an hour, a line a model through its best points, both with 95 % intervals.

    ``bars`` are aims by name: (false alarms an hour, share missed).
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 6), layout="constrained")
    handles = []
    for points in curves.values():
        chosen = best_points(points)
        x = np.array([p.false_alarms_per_hour for p in chosen])
        handles += axes.plot(x, [100 * p.miss_rate for p in chosen], "-", marker=".")
        colour = handles[-1].get_color()
        low, high = 100 * np.array([p.miss_interval for p in chosen]).T
        axes.fill_between(x, low, high, color=colour, alpha=0.15)
        first = chosen[0]
        axes.plot(first.false_alarm_interval, [100 * first.miss_rate] * 2, "|-", color=colour, linewidth=0.8, alpha=0.7)
    for marker, (alarms, misses) in zip(cycle("*PXD"), bars.values(), strict=False):
        handles += axes.plot(alarms, 100 * misses, marker, markersize=12, color="black", markeredgecolor="white")
    hours = next(iter(curves.values()))[0].hours
    axes.set_xscale("symlog", linthresh=FEW_ALARMS)
    axes.set(
        title=heading,
        xlabel=f"false alarms an hour (heard: {hours:.2f} h)",
        ylabel="keywords missed (%)",
        xlim=(0, MOST_ALARMS),
        ylim=(0, 100),
    )
    axes.grid(alpha=0.3)
    labels = [*curves, *bars]
    legend_below(figure, handles, labels, 2, "bands, and bars at each line's left end: 95 % intervals")
    return figure


def best_points(points: Sequence[WorkingPoint]) -> list[WorkingPoint]:
    """Those of fewer misses than all with fewer false alarms, the fewest false alarms first."""
    chosen: list[WorkingPoint] = []
    for p in sorted(points, key=lambda p: (p.false_alarms, p.misses)):
        if not chosen or p.misses < chosen[-1].misses:
            chosen.append(p)
    return chosen
