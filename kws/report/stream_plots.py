"""The pictures of ``streaming.ipynb``. Each function returns a matplotlib figure that stands alone: title, axes, units."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from kws.data.audio import SAMPLE_RATE
from kws.features import HOP, LogMel
from kws.report.plots import KEYWORD_COLOUR
from kws.scenes import Scene
from kws.streaming.detection import Detection, step_times
from kws.streaming.scoring import TOLERANCE, WorkingPoint


def plot_scene(scene: Scene, labels: Tensor, heading: str) -> Figure:
    """Waveform, log-mel and frame labels (1 keyword, 0 not, below 0 neither) of a scene, its keywords shaded."""
    figure, axes = plt.subplots(3, 1, figsize=(12, 5.4), sharex=True, height_ratios=(1, 2, 0.7), layout="constrained")
    axes[0].plot(np.arange(len(scene.waveform)) / SAMPLE_RATE, scene.waveform, linewidth=0.3)
    axes[0].set(ylabel="amplitude", title=heading)
    log_mel = LogMel()(scene.waveform[None])[0]
    seconds = log_mel.shape[1] * HOP / SAMPLE_RATE
    axes[1].imshow(log_mel, origin="lower", aspect="auto", extent=(0, seconds, 0, log_mel.shape[0]), vmin=-18, vmax=4)
    axes[1].set_ylabel("mel band")
    time = np.arange(len(labels)) * HOP / SAMPLE_RATE
    axes[2].fill_between(time, 0, labels == 1, step="post", color=KEYWORD_COLOUR, label="keyword")
    axes[2].fill_between(time, 0, labels < 0, step="post", color="lightgrey", label="not judged")
    axes[2].set(ylabel="label", yticks=[], ylim=(0, 1), xlabel="time (s)", xlim=(0, seconds))
    axes[2].legend(loc="upper right", fontsize=8, ncols=2)
    for start, end in scene.keywords:
        for above in axes[:2]:
            above.axvspan(start, end, color=KEYWORD_COLOUR, alpha=0.25)
    return figure


def plot_stream(
    scene: Scene,
    streams: dict[str, tuple[np.ndarray, int, int, Sequence[Detection], float]],
    span: tuple[float, float],
    heading: str,
) -> Figure:
    """Waveform of a stretch of a stream above the probabilities of each model, keywords shaded and detections marked.

    ``streams`` maps names to (probabilities, step_samples, first_sample, detections, threshold).
    """
    figure, axes = plt.subplots(
        1 + len(streams), 1, figsize=(13, 2 + 1.7 * len(streams)), sharex=True, layout="constrained"
    )
    begin, end = (min(int(t * SAMPLE_RATE), len(scene.waveform)) for t in span)
    axes[0].plot(np.arange(begin, end) / SAMPLE_RATE, scene.waveform[begin:end], linewidth=0.3)
    axes[0].set(ylabel="amplitude", title=heading, xlim=span)
    for below, (name, (p, step, first, detections, threshold)) in zip(axes[1:], streams.items(), strict=True):
        below.plot(step_times(0, len(p), step, first), p, linewidth=0.9)
        below.axhline(threshold, color="grey", linewidth=0.7, linestyle="--")
        inside = [d for d in detections if span[0] <= d.seconds <= span[1]]
        below.plot([d.seconds for d in inside], [d.probability for d in inside], "v", color="black", markersize=6)
        below.set(ylabel="probability", ylim=(-0.05, 1.08))
        below.set_title(name, fontsize=9, loc="left")
    for shaded in axes:
        for start, stop in scene.keywords:
            if span[0] <= stop and start <= span[1]:
                shaded.axvspan(start, stop, color=KEYWORD_COLOUR, alpha=0.3)
                shaded.axvspan(stop, stop + TOLERANCE, color=KEYWORD_COLOUR, alpha=0.1)
    axes[1].plot([], [], "v", color="black", label="detection")
    axes[1].plot([], [], "--", color="grey", linewidth=0.7, label="threshold")
    axes[1].fill_between(
        [], [], color=KEYWORD_COLOUR, alpha=0.3, label="keyword, and the half second in which a detection counts"
    )
    figure.legend(fontsize=8, loc="outside lower center", ncols=3)
    axes[-1].set_xlabel("time (s)")
    return figure


def plot_detection(
    curves: dict[str, Sequence[WorkingPoint]], bars: dict[str, tuple[float, float]], heading: str
) -> Figure:
    """Miss rate against false alarms per hour, a line a model through its best points, both with 95 % intervals; ``bars`` are aims (false alarms per hour, miss rate)."""
    figure, axes = plt.subplots(figsize=(8.5, 5.2), layout="constrained")
    for name, points in curves.items():
        chosen: list[WorkingPoint] = []  # those of fewer misses than all with fewer false alarms
        for p in sorted(points, key=lambda p: (p.false_alarms, p.misses)):
            if not chosen or p.misses < chosen[-1].misses:
                chosen.append(p)
        x = np.array([p.false_alarms_per_hour for p in chosen])
        y = np.array([p.miss_rate for p in chosen])
        (line,) = axes.plot(x, y, "-", marker=".", label=name)
        low, high = np.array([p.miss_interval for p in chosen]).T
        axes.fill_between(x, low, high, color=line.get_color(), alpha=0.15)
        first = chosen[0]
        axes.plot(
            first.false_alarm_interval, [first.miss_rate] * 2, "|-", color=line.get_color(), linewidth=0.8, alpha=0.7
        )
    for name, (alarms, misses) in bars.items():
        axes.plot(alarms, misses, "*", markersize=14, color="black")
        axes.annotate(name, (alarms, misses), xytext=(8, 4), textcoords="offset points", fontsize=8)
    hours = next(iter(curves.values()))[0].hours
    axes.set_xscale("symlog", linthresh=0.5)
    axes.set(
        title=heading,
        xlabel=f"false alarms per hour (heard: {hours:.2f} h)",
        ylabel="keywords missed (share)",
        xlim=(0, 200),
        ylim=(0, 1),
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure
