"""What ``kws bench`` found, as a table, as notes below it and as CSV: a row an engine."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tabulate import tabulate

from kws.data.storage import replacing
from kws.report.columns import Row, point_columns
from kws.streaming.intervals import poisson_interval, wilson_interval
from kws.streaming.scoring import WorkingPoint

TYPED_WORDS = Path("docs/results/typed_words.csv")  # what detectors of typed words did on recordings of people
SHIPPED = ""  # instead of a limit: at the threshold that an engine ships with


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


def csv_rows(result: Result, word: str, snr_db: float | None) -> list[Row]:
    """A result as rows of cells: one for each limit of false alarms per hour, and one, without a limit, for the threshold that is shipped."""
    start = {"keyword": word, "network": result.engine, "snr_db": "quiet" if snr_db is None else f"{snr_db:g}"}
    end = {"ms_for_a_second": f"{result.milliseconds:.2f}", "bytes": result.bytes}
    cases = {f"{limit:g}": point for limit, point in result.at_most.items()} | {SHIPPED: result.shipped}
    columns = [name for name in point_columns(result.shipped) if not name.startswith("median_delay")]
    rows = []
    for limit, point in cases.items():
        cells = point_columns(point) if point else {}
        rows.append(start | {"at_most_per_hour": limit} | {name: cells.get(name, "") for name in columns} | end)
    return rows


def write_csv(path: str | Path, rows: Sequence[Row]) -> None:
    """Write rows of the same columns, whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def saved(path: str | Path = TYPED_WORDS, limits: Sequence[float] = (0.5, 5.0)) -> str:
    """What stands in a CSV of ``csv_rows``, a line for each word, network and noise: means over trainings named ``NETWORK-SEED``.

    Intervals are of 95 %, of the mean counts: all trainings heard the same recordings and talk.
    """
    if not Path(path).is_file():
        return f"{path} is not here; the repository has it"
    found: dict[tuple[str, str, str], dict[str, list[dict[str, str]]]] = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            case = row["keyword"], re.sub(r"-\d+$", "", row["network"]), row["snr_db"]
            found.setdefault(case, {}).setdefault(row["at_most_per_hour"], []).append(row)
    cases = [*(f"{limit:g}" for limit in limits), SHIPPED]
    lines = []
    for (keyword, network, snr_db), points in found.items():
        shipped = points[SHIPPED]
        alarms, hours = (np.mean([float(row[name]) for row in shipped]) for name in ("false_alarms", "hours"))
        least, most = poisson_interval(alarms)
        cells = [
            *(_mean_missed(points[case]) for case in cases),
            f"{alarms / hours:.2f} [{least / hours:.2f}, {most / hours:.2f}]",
        ]
        ends = [f"{np.median([float(row['ms_for_a_second']) for row in shipped]):.2f}", f"{int(shipped[0]['bytes']):,}"]
        noise = snr_db if snr_db == "quiet" else f"{snr_db} dB"
        lines.append([keyword, network, len(shipped), noise, *cells, *ends])
    heads = [*(f"missed at\n{limit:g} per hour" for limit in limits), "missed at\nthe threshold", "alarms\nper hour"]
    names = ["word", "network", "seeds", "noise", *heads, "ms", "bytes"]
    return tabulate(lines, names, disable_numparse=True)


def _mean_missed(rows: Sequence[dict[str, str]]) -> str:
    """The share that trainings miss on average; each heard the same recordings."""
    if not all(row["missed"] for row in rows):
        return "no threshold"
    missed, keywords = np.mean([int(row["missed"]) for row in rows]), int(rows[0]["keywords"])
    return "{:.1%} [{:.1%}, {:.1%}]".format(missed / keywords, *wilson_interval(missed, keywords))
