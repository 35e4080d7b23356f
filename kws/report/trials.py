"""The last trials of a part of the study, from ``docs/trials.csv``, as text."""

import csv
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

TRIALS = Path("docs/trials.csv")
SHOWN = ("tried", "values", "against", "against_values", "verdict")
WIDTH = 100  # characters a line
BETWEEN, BESIDE_HEAD = 2, 2  # spaces that tabulate sets between columns, and leaves beside a head


def last_trials(part: str | Sequence[str], count: int = 8) -> str:
    """A line a trial of a part, or of several, the latest last. Raises ``ValueError`` for a part without trials."""
    if not TRIALS.is_file():
        return f"{TRIALS} is not here; the repository has every trial in it"
    parts = {part} if isinstance(part, str) else set(part)
    with TRIALS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if unknown := sorted(parts - {row["part"] for row in rows}):
        known = ", ".join(sorted({row["part"] for row in rows}))
        raise ValueError(f"{TRIALS} has no trials of {', '.join(unknown)}; there are those of {known}")
    chosen = [[row[column] for column in SHOWN] for row in rows if row["part"] in parts][-count:]
    return tabulate(fitted(chosen), [name.replace("_", " ") for name in SHOWN], disable_numparse=True)


def fitted(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """The same rows, the longest columns shortened until a line of the table has at most ``WIDTH`` characters."""
    least = [len(name) + BESIDE_HEAD for name in SHOWN]
    widths = [max(width, *map(len, cells)) for width, cells in zip(least, zip(*rows, strict=True), strict=True)]
    while sum(widths) + BETWEEN * (len(SHOWN) - 1) > WIDTH:
        widths[widths.index(max(widths))] -= 1
    return [[shortened(cell, width) for cell, width in zip(row, widths, strict=True)] for row in rows]


def shortened(text: str, width: int) -> str:
    """A text of at most so many characters, cut between words where it has some, with a mark where it was cut."""
    if len(text) <= width:
        return text
    start, space, _ = text[:width].rpartition(" ")
    return (start.rstrip(",") if space else text[: width - 1]) + "…"
