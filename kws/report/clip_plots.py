"""The pictures of clips. Each function returns a matplotlib figure that stands alone: title, axes, units."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor

from kws.data.audio import SAMPLE_RATE
from kws.data.corpus import Corpus
from kws.features import HOP
from kws.metrics import fa_fr_curve
from kws.report.style import KEYWORD_COLOUR, OTHER_COLOUR, SMALL, WIDTH, legend_below

OPERATING_POINTS = (0.001, 0.01)  # false alarms as shares of all clips
LOUDNESS = {"vmin": -15, "vmax": 5}  # of log-mels
A_ROW = 6  # log-mels
LEAST_PROBABILITY = 1e-6  # log-odds are bounded there


def plot_clips(waveforms: Sequence[Tensor], log_mel: Sequence[Tensor], titles: Sequence[str], heading: str) -> Figure:
    """A column a clip: waveform (samples,) above its log-mel (n_mels, frames)."""
    figure, axes = plt.subplots(
        2,
        len(titles),
        figsize=(2.8 * len(titles), 4.6),
        squeeze=False,
        height_ratios=(1, 2),
        layout="constrained",
        sharey="row",
    )
    for (above, below), waveform, picture, title in zip(axes.T, waveforms, log_mel, titles, strict=True):
        time = np.arange(len(waveform)) / SAMPLE_RATE
        above.plot(time, waveform.numpy(), linewidth=0.4)
        above.set(title=title, xlim=(0, time[-1]), xlabel="time (s)")
        image = _show_log_mel(below, picture)
        below.set_xlabel("time (s)")
    axes[0, 0].set_ylabel("amplitude\n(1: full scale)")
    axes[1, 0].set_ylabel("mel band")
    figure.colorbar(image, ax=axes[1].tolist(), label="log-mel (ln of power)")
    figure.suptitle(heading)
    return figure


def plot_corpus(corpus: Corpus, keyword: str) -> Figure:
    """Clips of each word, and how many clips a speaker has."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8), width_ratios=(3, 1), layout="constrained")
    words, counts = zip(*corpus.words.most_common(), strict=True)
    left.bar(words, counts, color=[KEYWORD_COLOUR if word == keyword else OTHER_COLOUR for word in words])
    left.tick_params(axis="x", rotation=90)
    left.margins(x=0.01)
    left.set(title=f"Clips of each word; the keyword is {keyword!r}", xlabel="word", ylabel="clips")
    right.hist(list(corpus.speakers.values()), bins=np.arange(0.5, max(corpus.speakers.values()) + 1.5))
    right.set(
        title=f"{len(corpus.speakers):,} speakers", xlabel="clips of one speaker", ylabel="speakers", yscale="log"
    )
    return figure


def plot_fa_fr(judged: dict[str, tuple[np.ndarray, np.ndarray]], heading: str) -> Figure:
    """False rejects against false alarms, a line a model of (probabilities, labels), operating points marked."""
    figure, axes = plt.subplots(figsize=(WIDTH, 5), layout="constrained")
    handles, highest = [], 0.2
    for probabilities, labels in judged.values():
        _, alarms, rejects = fa_fr_curve(probabilities, labels)
        handles += axes.plot(alarms, rejects, drawstyle="steps-post")
        highest = max(highest, rejects.max())
        for allowed in OPERATING_POINTS:
            i = int(np.argmax(alarms <= allowed))
            axes.plot(alarms[i], rejects[i], "o", color=handles[-1].get_color())
    for allowed in OPERATING_POINTS:
        axes.axvline(allowed, color="grey", linewidth=0.6, linestyle="--")
    axes.set_xscale("symlog", linthresh=1e-3)
    axes.set_yscale("symlog", linthresh=1e-3)
    axes.set(
        title=heading,
        xlabel="false alarms (share of all clips)",
        ylabel="false rejects (share of all clips)",
        xlim=(0, 1),
        ylim=(0, highest),
    )
    axes.grid(alpha=0.3)
    allowed = " and ".join(f"{100 * share:g} %" for share in OPERATING_POINTS)
    legend_below(figure, handles, list(judged), title=f"dots: the best with at most {allowed} false alarms")
    return figure


def plot_scores(probabilities: np.ndarray, labels: np.ndarray, keyword: str, heading: str) -> Figure:
    """Distribution of the model's log-odds for the keyword's clips and for others, counts on a log axis."""
    p = np.clip(probabilities.astype(np.float64), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    odds = np.log(p / (1 - p))
    bins = np.linspace(odds.min(), odds.max(), 50)
    figure, axes = plt.subplots(figsize=(WIDTH, 4.2), layout="constrained")
    for label, colour, name in ((0, OTHER_COLOUR, "other words"), (1, KEYWORD_COLOUR, repr(keyword))):
        clips = labels == label
        axes.hist(odds[clips], bins, color=colour, alpha=0.7, label=f"{name} ({clips.sum():,} clips)")
    axes.set(title=heading, xlabel="log-odds of the keyword, ln p / (1 - p)", ylabel="clips", yscale="log")
    axes.axvline(0, color="grey", linewidth=0.8, linestyle="--", label="p = 0.5")
    legend_below(figure, *axes.get_legend_handles_labels())
    return figure


def plot_hardest(log_mel: Tensor, titles: Sequence[str], heading: str) -> Figure:
    """A grid of log-mels (clips, n_mels, frames), six a row."""
    rows = -(-len(titles) // A_ROW)
    figure, axes = plt.subplots(
        rows, A_ROW, figsize=(14, 2.5 * rows), squeeze=False, layout="constrained", sharex=True, sharey=True
    )
    for axis in axes.flat[len(titles) :]:
        axis.axis("off")
    for axis, picture, title in zip(axes.flat, log_mel, titles, strict=False):
        image = _show_log_mel(axis, picture)
        axis.set_title(title, fontsize=SMALL)
    figure.supxlabel("time (s)")
    figure.supylabel("mel band")
    figure.colorbar(image, ax=axes, label="log-mel (ln of power)")
    figure.suptitle(heading)
    return figure


def plot_confused_words(
    words: Sequence[str], probabilities: np.ndarray, keyword: str, threshold: float, heading: str
) -> Figure:
    """For each other word, the share of its clips at or above the threshold, and how many that is."""
    words = np.asarray(words)
    others = sorted(set(words) - {keyword})
    alarms = {word: int((probabilities[words == word] >= threshold).sum()) for word in others}
    clips = {word: int((words == word).sum()) for word in others}
    order = sorted(others, key=lambda word: -alarms[word] / clips[word])
    figure, axes = plt.subplots(figsize=(12, 3.6), layout="constrained")
    bars = axes.bar(order, [100 * alarms[word] / clips[word] for word in order], color=OTHER_COLOUR)
    axes.bar_label(bars, [f"{alarms[word]}/{clips[word]}" for word in order], fontsize=SMALL, rotation=90, padding=3)
    axes.tick_params(axis="x", rotation=90)
    axes.margins(x=0.01, y=0.3)
    axes.set(
        title=heading,
        xlabel="word; above: clips taken for the keyword, of how many",
        ylabel=f"taken for {keyword!r} (%)",
    )
    return figure


def _show_log_mel(axes: Axes, picture: Tensor) -> AxesImage:
    """A log-mel (n_mels, frames) over seconds."""
    seconds = picture.shape[-1] * HOP / SAMPLE_RATE
    extent = (0, seconds, 0, picture.shape[0])
    return axes.imshow(picture.numpy(), origin="lower", aspect="auto", extent=extent, **LOUDNESS)
