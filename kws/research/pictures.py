"""Pictures as files, shown in a notebook as they were saved."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from kws.data.storage import replacing

DPI = 110


def save_picture(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, whole or not at all, close it, and show the file where a notebook runs."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)  # a notebook would draw it once more
    try:
        from IPython import display, get_ipython
    except ImportError:  # the package alone, without notebooks
        return
    if get_ipython() is not None:
        display.display(display.Image(filename=str(path)))
