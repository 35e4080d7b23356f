"""What ``kws bench`` found, as a table, as notes below it and as CSV: a row an engine."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from kws.data.storage import replacing
from kws.report.columns import Row, point_columns
from kws.streaming.intervals import poisson_interval
from kws.streaming.scoring import WorkingPoint


@dataclass(frozen=True)
class Result:
    """What an engine did.

    Attributes:
        engine: its name.
        keyword: what it hears.
        at_most: by false alarms per hour, the point of fewest misses; None if every threshold has more.
        shipped: at the threshold that it ships with.
        milliseconds: for a second of sound, on one thread.
        bytes: of its files.
    """

    engine: str
    keyword: str
    at_most: dict[float, WorkingPoint | None]
    shipped: WorkingPoint
    milliseconds: float
    bytes: int


def table(results: Sequence[Result]) -> str:
    """As text; intervals are of 95 %."""
    rows = []
    for r in results:
        alarms = "{:.2f} [{:.2f}, {:.2f}]".format(r.shipped.false_alarms_per_hour, *r.shipped.false_alarm_interval)
        shipped = [f"{r.shipped.threshold:.4g}", _missed(r.shipped), alarms]
        rows.append([r.engine, *map(_missed, r.at_most.values()), *shipped, f"{r.milliseconds:.2f}", f"{r.bytes:,}"])
    at_most = [f"missed at\n{limit:g} per hour" for limit in results[0].at_most]
    shipped = ["threshold it\nships with", "missed\nat that", "false alarms\nper hour"]
    heads = ["engine", *at_most, *shipped, "ms for 1 s,\n1 thread", "bytes"]
    return tabulate(rows, heads, disable_numparse=True, colalign=["left"] + ["right"] * (len(heads) - 1))


def _missed(point: WorkingPoint | None) -> str:
    if point is None:
        return "no threshold"
    return "{:.1%} [{:.1%}, {:.1%}]".format(point.miss_rate, *point.miss_interval)


def notes(results: Sequence[Result], word: str) -> list[str]:
    """What a reader of the table must know besides, a line each.

    Too few hours for a number of false alarms, an engine without a threshold for it, and one that hears another word.
    """
    hours = results[0].shipped.hours
    most = poisson_interval(0, 0.9)[1] / hours  # at 95 %, as the interval has one side here
    few = " and ".join(f"{limit:g}" for limit in results[0].at_most if most > limit)
    heard = f"{hours:.1f} h" if hours >= 0.05 else f"{hours * 3600:.0f} s"
    lines = []
    if few:
        lines.append(
            f"too little talk to speak of {few} false alarms per hour: none in {heard}: at most {most:.1f} per hour"
        )
    for r in results:
        lines += [
            f"{r.engine}: every threshold has more than {limit:g} false alarms per hour"
            for limit, point in r.at_most.items()
            if point is None
        ]
        if r.keyword.lower() != word.lower():
            lines.append(f"{r.engine} hears {r.keyword!r}; is that what the recordings in {word} say?")
    return lines


def csv_row(result: Result, word: str, snr_db: float | None) -> Row:
    """A result as cells. The columns of a working point have its number of false alarms at the end, or "shipped"."""
    cases = {f"at_{limit:g}": point for limit, point in result.at_most.items()} | {"shipped": result.shipped}
    row: Row = {"engine": result.engine, "word": word, "snr_db": "quiet" if snr_db is None else f"{snr_db:g}"}
    columns = [name for name in point_columns(result.shipped) if not name.startswith("median_delay")]
    for case, point in cases.items():
        cells = point_columns(point) if point else dict.fromkeys(columns, "")
        row |= {f"{name}_{case}": cells[name] for name in columns}
    return row | {"ms_for_a_second": f"{result.milliseconds:.2f}", "bytes": result.bytes}


def write_csv(path: str | Path, rows: Sequence[Row]) -> None:
    """Write rows of the same columns, whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


TYPED_WORDS = Path("docs/results/typed_words.csv")  # what detectors of typed words did on recordings of people


def saved(path: str | Path = TYPED_WORDS, at_most: float = 0.5) -> str:
    """The rows of a CSV of ``kws bench``, or of several one after another, in short: intervals are of 95 %."""
    if not Path(path).is_file():
        return f"{path} is not here; the repository has it"
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    shown = []
    for row in rows:
        cells = [row["word"], row["engine"], f"{row['snr_db']} dB" if row["snr_db"] != "quiet" else "quiet"]
        for case in (f"at_{at_most:g}", "shipped"):
            missed, low, high = (row[f"missed_percent{end}_{case}"] for end in ("", "_low", "_high"))
            cells.append(f"{missed} % [{low}, {high}]" if missed else "no threshold")
        shown.append([*cells, row["false_alarms_per_hour_shipped"], row["ms_for_a_second"], f"{int(row['bytes']):,}"])
    missed = [f"missed at {at_most:g}\nfalse alarms per hour", "missed at the\nthreshold shipped"]
    heads = ["word", "engine", "noise", *missed, "false alarms\nper hour at that", "ms for 1 s", "bytes"]
    return tabulate(shown, heads, disable_numparse=True)
