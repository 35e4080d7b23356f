"""The pictures of cost: quality against it, networks side by side, and time."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter
from matplotlib.transforms import blended_transform_factory

from kws.report.style import NAMES, SMALL, WIDTH, legend_below, plain_ticks, reader_name
from kws.report.timing import Latency
from kws.research.measured import Measured

LEAST_QUALITY = 1e-8  # an error of 0 has no place on a log axis
APART = 0.033  # of an axis' width: networks are drawn at least so far from each other
LEADER = 0.07  # of an axis' height: there a line leads from a cost to where its network is drawn
PEERS = ("peer", "tc_")  # how their names begin


def plot_cost(
    rows: Sequence[Measured], cost: str, label: str, kinds: Sequence[str], allowed: float, heading: str
) -> Figure:
    """Quality (AU_FA_FR at Speech Commands prevalence) against a cost, both on log axes, a panel a kind of split.

    Networks whose costs are nearly the same are drawn side by side; a line leads from each one's cost.

    Args:
        rows: of ``kws.research.measured.measure``; one named "base" is drawn as a line too.
        cost: the field of ``Measured`` on the horizontal axis.
        label: names it, with its unit.
        kinds: of splits.
        allowed: the published bar, another line.
        heading: of the figure.
    """
    figure, panels = plt.subplots(
        len(kinds),
        1,
        figsize=(WIDTH, 1.9 + 2.6 * len(kinds)),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    # Places: as near to the costs as they can be with room for a name each.
    costs = np.array([getattr(row, cost) for row in rows], dtype=float)
    logs = np.log10(costs)
    margin = 0.06 * (np.ptp(logs) or 1)
    width = np.ptp(logs) + 2 * margin
    places = spread(logs, APART * width)
    limits = (min(places.min(), logs.min()) - margin, max(places.max(), logs.max()) + margin)
    for axes, kind in zip(panels[:, 0], kinds, strict=True):
        base = next(row for row in rows if row.name == "base").quality[kind].at_speech_commands[0]
        axes.axhline(allowed, color="tab:red", linestyle="--", linewidth=1)
        axes.axhline(max(base, LEAST_QUALITY), color="grey", linestyle="--", linewidth=1)
        for row, place, true in zip(rows, 10**places, costs, strict=True):
            if kind in row.quality:
                _point(axes, place, row, kind)
                _leader(axes, true, place)
        axes.set(xscale="log", yscale="log", xlim=tuple(10 ** np.array(limits)))
        axes.text(1.02, 0.5, f"{kind} split", rotation=270, va="center", transform=axes.transAxes)
        axes.grid(alpha=0.25, axis="y")
    # Below the lowest interval there is room for the leaders.
    low, high = np.log10(panels[0, 0].get_ylim())
    panels[0, 0].set_ylim(10 ** (low - LEADER * (high - low)), 10**high)
    # Names stand above the panels, where no curve is.
    above = panels[0, 0].secondary_xaxis("top")
    above.set_xticks(10**places, [NAMES.get(row.name, row.title) for row in rows], fontsize=SMALL)
    above.tick_params(axis="x", rotation=45, length=3)
    plt.setp(above.get_xticklabels(), ha="left", rotation_mode="anchor")
    above.xaxis.set_minor_formatter(NullFormatter())
    above.tick_params(axis="x", which="minor", length=0)
    panels[-1, 0].set_xlabel(label)
    plain_ticks(panels[-1, 0].xaxis)
    figure.supylabel("AU_FA_FR at Speech Commands prevalence (lower is better)", fontsize=10)
    figure.suptitle(f"{heading} ({rows[0].quality[kinds[0]].seeds} seeds, 95 % intervals over clips)", fontsize=12)
    _cost_legend(figure, allowed)
    return figure


def _point(axes: Axes, place: float, row: Measured, kind: str) -> None:
    middle, low, high = np.maximum(row.quality[kind].at_speech_commands, LEAST_QUALITY)
    marker, colour = ("s", "tab:orange") if row.name.startswith(PEERS) else ("o", "tab:blue")
    axes.errorbar(place, middle, [[middle - low], [high - middle]], fmt=marker, color=colour, markersize=6, capsize=3)


def _leader(axes: Axes, true: float, place: float) -> None:
    """A line from a cost on the axis to where its network is drawn, and on up to its name."""
    mixed = blended_transform_factory(axes.transData, axes.transAxes)
    axes.plot([true, place], [0, LEADER], color="black", linewidth=0.7, transform=mixed)
    axes.plot([place, place], [LEADER, 1], color="black", linewidth=0.5, alpha=0.15, transform=mixed, zorder=0)


def _cost_legend(figure: Figure, allowed: float) -> None:
    handles = [
        Line2D([], [], color="tab:blue", marker="o"),
        Line2D([], [], color="tab:orange", marker="s"),
        Line2D([], [], color="tab:red", linestyle="--"),
        Line2D([], [], color="grey", linestyle="--"),
    ]
    labels = ["of this study", "published shapes, trained here", f"published bar, {allowed:.1e}", "as good as our base"]
    legend_below(figure, handles, labels, 2)


def spread(values: np.ndarray, least: float) -> np.ndarray:
    """Places at least so far apart, in the same order, that move as little as possible from the values (any,).

    Least squares under an order, by pooling neighbours that come too near (isotonic regression).
    """
    order = np.argsort(values, kind="stable")
    offsets = least * np.arange(len(values))
    pools: list[list[float]] = []
    for value in values[order] - offsets:
        pools.append([value])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    places = np.empty(len(values))
    places[order] = np.concatenate([np.full(len(pool), np.mean(pool)) for pool in pools]) + offsets
    return places


def plot_comparison(groups: dict[str, Sequence[Measured]], kinds: Sequence[str], heading: str) -> Figure:
    """1 - AUC of networks side by side, with intervals: a panel a group, a colour a kind of split."""
    names = list(dict.fromkeys(row.title for rows in groups.values() for row in rows))
    size = (3.5 + 4 * len(groups), 1.8 + 0.34 * len(names))
    figure, panels = plt.subplots(
        1, len(groups), figsize=size, squeeze=False, sharex=True, sharey=True, layout="constrained"
    )
    for axes, (group, rows) in zip(panels[0], groups.items(), strict=True):
        for j, kind in enumerate(kinds):
            found = [row for row in rows if kind in row.quality]
            values = np.array([row.quality[kind].one_minus_auc for row in found]).reshape(-1, 3)
            place = np.array([names.index(row.title) for row in found]) + 0.18 * (2 * j - len(kinds) + 1)
            errors = [values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]]
            axes.errorbar(values[:, 0], place, xerr=np.maximum(errors, 0), fmt="o", capsize=3, label=f"{kind} split")
        axes.set(title=group, xlabel="1 - AUC (lower is better)", xscale="log", ylim=(len(names) - 0.4, -0.6))
        axes.grid(alpha=0.3, axis="x", which="both")
    panels[0, 0].set_yticks(range(len(names)), [reader_name(name) for name in names])
    panels[0, 0].set_ylabel("network")
    legend_below(figure, *panels[0, 0].get_legend_handles_labels())
    figure.suptitle(heading)
    return figure


def plot_latency(latencies: Sequence[Latency], heading: str) -> Figure:
    """Milliseconds by model and runtime, a panel a batch size, bars with (pale) and without the front end."""
    batches = sorted({t.batch for t in latencies})
    runtimes = list(dict.fromkeys(t.runtime for t in latencies))
    models = list(dict.fromkeys(t.model for t in latencies))
    figure, panels = plt.subplots(1, len(batches), figsize=(6 * len(batches), 4.6), squeeze=False, layout="constrained")
    for axes, batch in zip(panels[0], batches, strict=True):
        for j, runtime in enumerate(runtimes):
            found = {
                (t.model, t.front_end): t.milliseconds for t in latencies if (t.batch, t.runtime) == (batch, runtime)
            }
            place = np.arange(len(models)) + 0.2 * (j - (len(runtimes) - 1) / 2)
            for front_end, alpha in ((True, 0.35), (False, 1.0)):
                times = [found.get((model, front_end), np.nan) for model in models]
                axes.bar(place, times, 0.18, color=f"C{j}", alpha=alpha)
        axes.set_xticks(range(len(models)), [reader_name(model).replace(", ", ",\n") for model in models])
        clips = "1 clip of 1 s in a call" if batch == 1 else f"{batch} clips of 1 s in a call"
        axes.set(title=clips, xlabel="network", ylabel="median time of a call (ms)", yscale="log")
        plain_ticks(axes.yaxis)
        axes.grid(alpha=0.3, axis="y", which="both")
    handles = [Patch(color=f"C{j}") for j in range(len(runtimes))] + [Patch(color="grey", alpha=0.35)]
    legend_below(figure, handles, [*runtimes, "pale: with the front end"], 5)
    figure.suptitle(heading)
    return figure
