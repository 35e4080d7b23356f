"""The pictures of the notebooks. Each function returns a matplotlib figure that stands alone: title, axes, units."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from kws.data.audio import SAMPLE_RATE
from kws.data.corpus import Corpus
from kws.data.storage import replacing
from kws.features import HOP
from kws.metrics import fa_fr_curve
from kws.report.tables import Measured
from kws.report.timing import Latency

KEYWORD_COLOUR, OTHER_COLOUR = "tab:orange", "tab:blue"
OPERATING_POINTS = (0.001, 0.01)  # false alarms as shares of all clips


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})


def plot_clips(waveforms: Sequence[Tensor], log_mel: Sequence[Tensor], titles: Sequence[str], heading: str) -> Figure:
    """A column a clip: waveform (samples,) above its log-mel (n_mels, frames)."""
    figure, axes = plt.subplots(
        2, len(titles), figsize=(3.4 * len(titles), 4.6), squeeze=False, height_ratios=(1, 2), layout="constrained"
    )
    for (above, below), waveform, picture, title in zip(axes.T, waveforms, log_mel, titles, strict=True):
        time = np.arange(len(waveform)) / SAMPLE_RATE
        above.plot(time, waveform, linewidth=0.4)
        above.set(title=title, xlim=(0, time[-1]), xlabel="time (s)")
        image = _show_log_mel(below, picture)
    axes[0, 0].set_ylabel("amplitude")
    axes[1, 0].set_ylabel("mel band")
    figure.colorbar(image, ax=axes[1].tolist(), label="log power")
    figure.suptitle(heading)
    return figure


def plot_corpus(corpus: Corpus, keyword: str) -> Figure:
    """Clips of each word, and how many clips a speaker has."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8), width_ratios=(3, 1), layout="constrained")
    words, counts = zip(*corpus.words.most_common(), strict=True)
    left.bar(words, counts, color=[KEYWORD_COLOUR if word == keyword else OTHER_COLOUR for word in words])
    left.tick_params(axis="x", rotation=90)
    left.set(title=f"Clips of each word; the keyword is {keyword!r}", ylabel="clips")
    right.hist(list(corpus.speakers.values()), bins=np.arange(0.5, max(corpus.speakers.values()) + 1.5))
    right.set(
        title=f"{len(corpus.speakers):,} speakers", xlabel="clips of one speaker", ylabel="speakers", yscale="log"
    )
    return figure


def plot_training(histories: dict[str, list[dict[str, float]]], chosen: dict[str, int]) -> Figure:
    """Loss and validation AU_FA_FR by epoch, a line a run; a dot marks the epoch that was kept."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8), layout="constrained")
    for name, history in histories.items():
        epochs = [row["epoch"] for row in history]
        (line,) = left.plot(epochs, [row["loss"] for row in history])
        left.plot(epochs, [row["validation_loss"] for row in history], ":", color=line.get_color())
        areas = [row["validation_au_fa_fr"] for row in history]
        right.plot(epochs, areas, color=line.get_color(), label=name)
        right.plot(chosen[name], areas[chosen[name] - 1], "o", color=line.get_color())
    left.set(
        title="Loss (validation: averaged weights, clips as recorded)",
        xlabel="epoch",
        ylabel="cross-entropy (nats)",
        yscale="log",
    )
    right.set(
        title="Quality on validation clips; the dot is the epoch kept",
        xlabel="epoch",
        ylabel="AU_FA_FR (lower is better)",
    )
    right.set_yscale("symlog", linthresh=1e-6)
    for style, label in (("-", "train"), (":", "validation")):
        left.plot([], [], style, color="black", label=label)
    left.legend(fontsize=8)
    right.legend(fontsize=8)
    return figure


def plot_fa_fr(judged: dict[str, tuple[np.ndarray, np.ndarray]], heading: str) -> Figure:
    """False rejects against false alarms, a line a model of (probabilities, labels), with the operating points marked."""
    figure, axes = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
    for name, (probabilities, labels) in judged.items():
        _, alarms, rejects = fa_fr_curve(probabilities, labels)
        (line,) = axes.plot(alarms, rejects, drawstyle="steps-post", label=name)
        for allowed in OPERATING_POINTS:
            i = int(np.argmax(alarms <= allowed))
            axes.plot(alarms[i], rejects[i], "o", color=line.get_color())
    for allowed in OPERATING_POINTS:
        axes.axvline(allowed, color="grey", linewidth=0.6, linestyle="--")
    axes.set_xscale("symlog", linthresh=1e-3)
    axes.set_yscale("symlog", linthresh=1e-3)
    axes.set(
        title=heading,
        xlabel="false alarms (share of all clips)",
        ylabel="false rejects (share of all clips)",
        xlim=(0, 1),
        ylim=(0, max(0.2, rejects.max())),
    )
    axes.legend(
        title=f"dots: at most {' and '.join(f'{p:.1%}' for p in OPERATING_POINTS)} false alarms",
        fontsize=8,
        title_fontsize=8,
    )
    axes.grid(alpha=0.3)
    return figure


def plot_scores(probabilities: np.ndarray, labels: np.ndarray, keyword: str, heading: str) -> Figure:
    """Distribution of the model's log-odds for the keyword's clips and for others, counts on a log axis."""
    p = np.clip(probabilities.astype(np.float64), 1e-6, 1 - 1e-6)
    odds = np.log(p / (1 - p))
    bins = np.linspace(odds.min(), odds.max(), 50)
    figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
    axes.hist(
        odds[labels == 0], bins, color=OTHER_COLOUR, alpha=0.7, label=f"other words ({(labels == 0).sum():,} clips)"
    )
    axes.hist(
        odds[labels == 1], bins, color=KEYWORD_COLOUR, alpha=0.7, label=f"{keyword!r} ({(labels == 1).sum():,} clips)"
    )
    axes.set(title=heading, xlabel="log-odds of the keyword, ln p / (1 - p)", ylabel="clips", yscale="log")
    axes.axvline(0, color="grey", linewidth=0.8, linestyle="--", label="p = 0.5")
    axes.legend(fontsize=8)
    return figure


def plot_hardest(log_mel: Tensor, titles: Sequence[str], heading: str) -> Figure:
    """A grid of log-mels (clips, n_mels, frames), six a row."""
    columns = 6
    rows = -(-len(titles) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(14, 2.5 * rows), squeeze=False, layout="constrained", sharex=True, sharey=True
    )
    for axis in axes.flat[len(titles) :]:
        axis.axis("off")
    for axis, picture, title in zip(axes.flat, log_mel, titles, strict=False):
        image = _show_log_mel(axis, picture, label=False)
        axis.set_title(title, fontsize=8)
    figure.supxlabel("time (s)")
    figure.supylabel("mel band")
    figure.colorbar(image, ax=axes, label="log power")
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
    axes.bar_label(bars, [f"{alarms[word]}/{clips[word]}" for word in order], fontsize=7, rotation=90, padding=3)
    axes.tick_params(axis="x", rotation=90)
    axes.margins(y=0.3)
    axes.set(title=heading, ylabel=f"taken for {keyword!r} (%)")
    return figure


def _show_log_mel(axes, picture: Tensor, label: bool = True):
    seconds = picture.shape[-1] * HOP / SAMPLE_RATE
    image = axes.imshow(
        picture, origin="lower", aspect="auto", extent=(0, seconds, 0, picture.shape[0]), vmin=-15, vmax=5
    )
    if label:
        axes.set_xlabel("time (s)")
    return image


def plot_cost(
    rows: Sequence[Measured], cost: str, label: str, kinds: Sequence[str], allowed: float, heading: str
) -> Figure:
    """Quality (AU_FA_FR at Speech Commands prevalence) against a cost, both on log axes, a panel a kind of split.

    Args:
        rows: of ``kws.report.tables.measure``; one named "base" is drawn as a line, the published ``allowed`` as another.
        cost: the field of ``Measured`` on the horizontal axis, which ``label`` names with its unit.
    """
    figure, panels = plt.subplots(
        1, len(kinds), figsize=(6 * len(kinds) + 3, 5.4), squeeze=False, sharex=True, sharey=True, layout="constrained"
    )
    for axes, kind in zip(panels[0], kinds, strict=True):
        base = next(row for row in rows if row.name == "base").quality[kind].at_speech_commands[0]
        axes.axhline(allowed, color="tab:red", linestyle="--", linewidth=1, label=f"published bar, {allowed:.1e}")
        axes.axhline(base, color="grey", linestyle="--", linewidth=1, label="as good as our base")
        for i, row in enumerate(rows):
            if kind not in row.quality:
                continue
            middle, low, high = np.maximum(row.quality[kind].at_speech_commands, 1e-8)
            peer = row.name.startswith(("peer", "tc_"))
            axes.errorbar(
                getattr(row, cost) * 1.02 ** (i % 3 - 1),  # networks of one cost stay apart
                middle,
                [[middle - low], [high - middle]],
                fmt="s" if peer else "o",
                markersize=6 if peer else 8,
                color=plt.get_cmap("tab20")(i),
                capsize=3,
                label=row.title,
            )
        axes.set(
            title=f"{kind} split, {rows[0].quality[kind].seeds} seed(s), 95 % intervals over clips",
            xlabel=label,
            xscale="log",
            yscale="log",
        )
        axes.grid(alpha=0.3, which="both")
    panels[0, 0].set_ylabel("AU_FA_FR at Speech Commands prevalence (lower is better)")
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside right center", fontsize=8, title="squares: peers, retrained", title_fontsize=8
    )
    figure.suptitle(heading)
    return figure


def plot_comparison(groups: dict[str, Sequence[Measured]], kinds: Sequence[str], heading: str) -> Figure:
    """1 - AUC of networks side by side, with intervals: a panel a group, a colour a kind of split."""
    figure, panels = plt.subplots(
        1, len(groups), figsize=(7 * len(groups), 3.8), squeeze=False, sharex=True, layout="constrained"
    )
    for axes, (group, rows) in zip(panels[0], groups.items(), strict=True):
        for j, kind in enumerate(kinds):
            found = [i for i, row in enumerate(rows) if kind in row.quality]
            values = np.array([rows[i].quality[kind].one_minus_auc for i in found])
            place = np.array(found) + 0.18 * (2 * j - len(kinds) + 1)
            errors = [values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]]
            axes.errorbar(values[:, 0], place, xerr=np.maximum(errors, 0), fmt="o", capsize=3, label=f"{kind} split")
        axes.set_yticks(range(len(rows)), [row.title for row in rows])
        axes.invert_yaxis()
        axes.set(title=group, xlabel="1 - AUC (lower is better)", xscale="log")
        axes.grid(alpha=0.3, axis="x", which="both")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=len(kinds))
    figure.suptitle(heading)
    return figure


def plot_layer_errors(histories: dict[str, list[dict[str, float]]], heading: str) -> Figure:
    """Error of each layer pair by epoch, a panel a pair, a line a run."""
    pairs = [key for key in next(iter(histories.values()))[0] if key.startswith("error of ")]
    figure, panels = plt.subplots(
        1, len(pairs), figsize=(3.6 * len(pairs), 3.4), squeeze=False, sharey=True, layout="constrained"
    )
    for axes, pair in zip(panels[0], pairs, strict=True):
        for name, history in histories.items():
            axes.plot([row["epoch"] for row in history], [row[pair] for row in history], linewidth=0.9, label=name)
        axes.set(title=pair.removeprefix("error of "), xlabel="epoch", ylim=(0, 1.1))
        axes.grid(alpha=0.3)
    panels[0, 0].set_ylabel("share unexplained (1: all)")
    panels[0, -1].legend(fontsize=7)
    figure.suptitle(heading)
    return figure


def plot_latency(latencies: Sequence[Latency], heading: str) -> Figure:
    """Milliseconds by model and runtime, a panel a batch size, bars with and (hatched) without the front end."""
    batches = sorted({t.batch for t in latencies})
    runtimes = list(dict.fromkeys(t.runtime for t in latencies))
    models = list(dict.fromkeys(t.model for t in latencies))
    figure, panels = plt.subplots(1, len(batches), figsize=(7 * len(batches), 4.2), squeeze=False, layout="constrained")
    for axes, batch in zip(panels[0], batches, strict=True):
        for j, runtime in enumerate(runtimes):
            found = {
                (t.model, t.front_end): t.milliseconds for t in latencies if (t.batch, t.runtime) == (batch, runtime)
            }
            place = np.arange(len(models)) + 0.2 * (j - (len(runtimes) - 1) / 2)
            whole = [found.get((model, True), np.nan) for model in models]
            axes.bar(place, whole, 0.18, color=f"C{j}", alpha=0.35)
            axes.bar(place, [found[model, False] for model in models], 0.18, color=f"C{j}", label=runtime)
        axes.set_xticks(range(len(models)), models)
        axes.set(title=f"{batch} clip(s) of 1 s in a call", ylabel="median time (ms)", yscale="log")
        axes.grid(alpha=0.3, axis="y")
    panels[0, 0].legend(fontsize=8, title="pale: with the front end", title_fontsize=8)
    figure.suptitle(heading)
    return figure
