"""What all pictures share: colours, names that a reader knows, and legends beside the panels rather than on curves."""

import re
from collections.abc import Sequence

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

KEYWORD_COLOUR, OTHER_COLOUR = "tab:orange", "tab:blue"
SMALL = 9  # points: legible where a figure of ``WIDTH`` is shown 800 pixels wide
WIDTH = 8.0  # inches of a figure that goes into a README
NAMES = {
    "gru_small": "smaller GRU",
    "gru_small_separable": "separable GRU",
    "rnn": "RNN",
    "rnn_fp16": "RNN, float16",
    "rnn_fp16_unpacked": "RNN, float16, not packed",
    "rnn_int8": "RNN, int8",
    "deep_teacher": "deep teacher",
    "best": "best quality",
    "best_int8": "best quality",
    "balanced_int8": "balanced",
    "smallest_int8": "smallest",
    "peer_rnn_2546": "peer RNN, 20 frames",
    "peer_rnn_k15": "peer RNN, 15 frames",
    "peer_gru_1789": "peer GRU, 1 layer",
    "peer_gru_3294": "peer GRU, 2 layers",
    "tc_resnet8": "TC-ResNet8",
    "streaming_base": "streaming base",
    "streaming_middle": "streaming middle",
    "streaming_small": "streaming small",
    "streaming_teacher": "streaming teacher",
    "embedding_teacher": "embedding teacher",
    "recurrent.0": "recurrent layer 1",
    "recurrent.1": "recurrent layer 2",
}
_IDENTIFIER = re.compile(r"[A-Za-z]\w*(?:\.\d)?")


def reader_name(label: str) -> str:
    """A label with names that a reader knows: "gru_small, seed 0" becomes "smaller GRU, seed 0"."""
    return _IDENTIFIER.sub(lambda found: NAMES.get(found[0], found[0]), label)


def group_of(label: str) -> str:
    """What runs that differ by their seed have in common: "published, seed 0" is of "published"."""
    return reader_name(re.sub(r",? *seed \d+$", "", label)) or "all seeds"


def colours_of(labels: Sequence[str]) -> dict[str, str]:
    """A colour for each group of runs, in the order of the labels."""
    return {group: f"C{i % 10}" for i, group in enumerate(dict.fromkeys(map(group_of, labels)))}


def plain_ticks(axis: Axis) -> None:
    """Ticks of a log axis at 1, 2 and 5, as a reader writes them: 0.05, or 20,000."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def legend_below(figure: Figure, handles: Sequence, labels: Sequence[str], columns: int = 3, title: str = "") -> None:
    """A legend outside of all panels, below them."""
    figure.legend(
        handles,
        [reader_name(label) for label in labels],
        loc="outside lower center",
        ncols=columns,
        fontsize=SMALL,
        title=title or None,
        title_fontsize=SMALL,
    )
