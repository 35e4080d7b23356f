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
POINT = ("threshold", "missed", "keywords", "missed_percent", "missed_percent_low", "missed_percent_high")
ALARMS = ("false_alarms", "hours", *(f"false_alarms_per_hour{end}" for end in ("", "_low", "_high")))
SHIPPED = ""  # instead of a limit: at the threshold that an engine ships with


def tidy(row: Row, limits: Sequence[float] = (0.5, 5.0)) -> list[Row]:
    """A row of ``csv_row`` as one for each limit of false alarms per hour, and one for the threshold that is shipped."""
    start = {"keyword": row["word"], "network": row["engine"], "snr_db": row["snr_db"]}
    end = {"ms_for_a_second": row["ms_for_a_second"], "bytes": row["bytes"]}
    cases = {**{f"{limit:g}": f"at_{limit:g}" for limit in limits}, SHIPPED: "shipped"}
    return [
        start | {"at_most_per_hour": limit} | {name: row[f"{name}_{case}"] for name in (*POINT, *ALARMS)} | end
        for limit, case in cases.items()
    ]


def saved(path: str | Path = TYPED_WORDS) -> str:
    """The rows that ``tidy`` made, a line for each engine, word and noise; intervals are of 95 %."""
    if not Path(path).is_file():
        return f"{path} is not here; the repository has it"
    found: dict[tuple[str, str, str], dict[str, dict[str, str]]] = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault((row["keyword"], row["network"], row["snr_db"]), {})[row["at_most_per_hour"]] = row
    lines = []
    for (keyword, network, snr_db), points in found.items():
        cells = [
            "{missed_percent} % [{missed_percent_low}, {missed_percent_high}]".format(**p) for p in points.values()
        ]
        shipped = points[SHIPPED]
        noise = snr_db if snr_db == "quiet" else f"{snr_db} dB"
        ends = [shipped["false_alarms_per_hour"], shipped["ms_for_a_second"], f"{int(shipped['bytes']):,}"]
        lines.append([keyword, network, noise, *cells, *ends])
    limits = [limit for limit in next(iter(found.values())) if limit != SHIPPED]
    missed = [*(f"missed at\n{limit} per hour" for limit in limits), "missed at\nthe threshold"]
    heads = ["word", "network", "noise", *missed, "alarms\nper hour", "ms", "bytes"]
    return tabulate(lines, heads, disable_numparse=True)
