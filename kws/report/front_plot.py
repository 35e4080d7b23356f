"""The picture of the front: error in unheard noise against all multiplications, of networks and of a search's trials."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kws.report.cost_plots import PEERS
from kws.report.style import NAMES, SMALL, WIDTH, legend_below, plain_ticks
from kws.research.front import Placed

WORST = 4.0  # times the base: trials beyond are not drawn
BESIDE = {"base": ("left", 4), "gru_small": ("left", -4), "beyond": ("right", 5), "tc_resnet8": ("right", 5)}
"""On which side of its name a network is drawn, and how far the name is above it (points)."""
STYLES = {
    "trial": ("trials of the search, one seed", "tab:gray", "."),
    "on_front": ("the trials that no cheaper one betters", "black", "."),
    "ladder": ("base and ladder", "tab:blue", "o"),
    "peer": ("published shapes, trained here", "tab:orange", "s"),
    "chosen": ("chosen from the search", "tab:green", "D"),
}


def plot_front(rows: Sequence[Placed], trials: Sequence[Placed], chosen: Sequence[str], heading: str) -> Figure:
    """Both axes are logarithmic; a line goes through the trials that no cheaper one betters.

    Args:
        rows: networks that were trained with all seeds.
        trials: of a search, possibly none; those worse than ``WORST`` times the base are left out.
        chosen: names of the rows that come from the search.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 5.4), layout="constrained")
    shown = [trial for trial in trials if trial.times_base <= WORST]
    best = lowest(shown)
    _dots(axes, "trial", shown)
    axes.plot([p.multiplications for p in best], [p.times_base for p in best], color="black", linewidth=0.8)
    _dots(axes, "on_front", best)
    groups = {"ladder": [], "peer": [], "chosen": []}
    for row in rows:
        groups["chosen" if row.name in chosen else "peer" if row.name.startswith(PEERS) else "ladder"].append(row)
    for name, group in groups.items():
        _dots(axes, name, group, size=6)
    # Names of those that the text speaks of; the others stand too close together.
    for row in rows:
        if row.name in chosen or row.name in BESIDE:
            side, up = BESIDE.get(row.name, ("left", -4))
            place = {"ha": side, "xytext": (7 if side == "left" else -7, up), "textcoords": "offset points"}
            axes.annotate(NAMES.get(row.name, row.name), (row.multiplications, row.times_base), fontsize=SMALL, **place)
    axes.axhline(1, color="tab:blue", linestyle="--", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="multiplications for a second of sound, front end included")
    axes.set_ylabel("1 - AUC in unheard noise, times the base's\n(validation clips; lower is better)")
    plain_ticks(axes.xaxis)
    plain_ticks(axes.yaxis)
    axes.grid(alpha=0.25, which="both")
    kept = [name for name, group in {"trial": shown, "on_front": best, **groups}.items() if group]
    handles = [Line2D([], [], color=STYLES[name][1], marker=STYLES[name][2], linestyle="") for name in kept]
    legend_below(figure, handles, [STYLES[name][0] for name in kept], 2)
    figure.suptitle(heading, fontsize=12)
    return figure


def _dots(axes, name: str, points: Sequence[Placed], size: float = 4) -> None:
    _, colour, marker = STYLES[name]
    xs, ys = [p.multiplications for p in points], [p.times_base for p in points]
    axes.plot(xs, ys, marker=marker, color=colour, markersize=size, linestyle="", alpha=0.4 if name == "trial" else 1)


def lowest(points: Sequence[Placed]) -> list[Placed]:
    """Those that no cheaper one betters, cheapest first."""
    found: list[Placed] = []
    for point in sorted(points, key=lambda p: (p.multiplications, p.times_base)):
        if not found or point.times_base < found[-1].times_base:
            found.append(point)
    return found
