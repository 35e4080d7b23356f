"""The pictures of trainings, from rows of a history: loss and quality by epoch, and what layers leave unexplained."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kws.report.style import colours_of, group_of, legend_below, plain_ticks, reader_name

History = Sequence[dict[str, float]]
OF_LAYERS = "error of "  # begins the names of layer pairs in a history
NO_ERROR = 1e-6  # AU_FA_FR below which the axis goes on evenly down to 0


def plot_training(histories: dict[str, History], chosen: dict[str, int]) -> Figure:
    """Loss and validation AU_FA_FR by epoch, a line a run, a colour a network or split.

    Args:
        histories: by run, a row an epoch with "epoch", "loss", "validation_loss" and "validation_au_fa_fr".
        chosen: by run, the epoch kept, from 1; 0 where it is not known.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained")
    colours = colours_of(list(histories))
    for name, history in histories.items():
        epochs, colour = [row["epoch"] for row in history], colours[group_of(name)]
        left.plot(epochs, [row["loss"] for row in history], color=colour, linewidth=1)
        left.plot(epochs, [row["validation_loss"] for row in history], ":", color=colour)
        areas = {row["epoch"]: row["validation_au_fa_fr"] for row in history}
        right.plot(list(areas), list(areas.values()), color=colour, linewidth=1)
        if chosen[name] in areas:  # a ring, so that those at one place are seen
            kept = areas[chosen[name]]
            right.plot(chosen[name], kept, "o", color=colour, markerfacecolor="none", markersize=8, clip_on=False)
    left.set(title="Loss", xlabel="epoch", ylabel="cross-entropy (nats)", yscale="log")
    plain_ticks(left.yaxis)
    right.set(title="Quality on validation", xlabel="epoch", ylabel="AU_FA_FR (lower is better)")
    right.set_yscale("symlog", linthresh=NO_ERROR)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    handles, labels = _lines(histories)
    handles += [Line2D([], [], color="black", linestyle=style) for style in ("-", ":")]
    handles += [Line2D([], [], color="black", marker="o", markerfacecolor="none", linestyle="")]
    legend_below(figure, handles, [*labels, "on training data", "on validation, averaged weights", "epoch kept"], 4)
    return figure


def plot_layer_errors(histories: dict[str, History], heading: str) -> Figure:
    """Error of each layer pair by epoch, a panel a pair, a line a run, a colour a network or split."""
    pairs = [key for key in next(iter(histories.values()))[0] if key.startswith(OF_LAYERS)]
    figure, panels = plt.subplots(
        1, len(pairs), figsize=(3 * len(pairs), 3.8), squeeze=False, sharey=True, layout="constrained"
    )
    colours = colours_of(list(histories))
    for axes, pair in zip(panels[0], pairs, strict=True):
        for name, history in histories.items():
            errors = [row[pair] for row in history]
            axes.plot([row["epoch"] for row in history], errors, color=colours[group_of(name)], linewidth=0.9)
        axes.set(title=_pair(pair), xlabel="epoch")
        axes.grid(alpha=0.3)
    panels[0, 0].set_ylim(bottom=0)
    panels[0, 0].set_ylabel("share unexplained (1: all)")
    legend_below(figure, *_lines(histories))
    figure.suptitle(heading)
    return figure


def _lines(histories: dict[str, History]) -> tuple[list[Line2D], list[str]]:
    """A handle and a label for each group of runs."""
    counts: dict[str, int] = {}
    for name in histories:
        counts[group_of(name)] = counts.get(group_of(name), 0) + 1
    handles = [Line2D([], [], color=colour) for colour in colours_of(list(histories)).values()]
    return handles, [f"{group} ({count} run{'s' if count > 1 else ''})" for group, count in counts.items()]


def _pair(key: str) -> str:
    """A layer pair as a reader knows it; one name where student and teacher have the same."""
    mine, _, theirs = reader_name(key.removeprefix(OF_LAYERS)).partition(" from ")
    return mine if theirs in ("", mine) else f"{mine}\nfrom {theirs}"
