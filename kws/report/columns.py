"""Cells of the tables in ``docs/results``: numbers as they are printed there, and the columns that several tables share."""

import math
from collections.abc import Sequence

from kws.research.measured import Quality
from kws.research.networks import FROM_EARS, RUNGS, STORED, STREAMS
from kws.streaming.scoring import WorkingPoint

Row = dict[str, object]  # cells by column; all rows of a table have the same columns


def cell(value: float, form: str) -> str:
    """A number as tables print it, percents without their sign; of NaN nothing."""
    return "" if math.isnan(value) else f"{value:{form}}".rstrip("%")


def with_interval(name: str, values: Sequence[float], form: str, interval: str) -> Row:
    """Three columns: a mean, and the lower and upper end of its interval."""
    columns = zip(("", "_low", "_high"), values, (form, interval, interval), strict=True)
    return {name + end: cell(value, printed) for end, value, printed in columns}


def quality_columns(q: Quality, interval: str = ".1e") -> Row:
    """1 - AUC and the areas under false rejects against false accepts, each with its interval."""
    return (
        with_interval("one_minus_auc", q.one_minus_auc, ".2e", interval)
        | with_interval("au_fa_fr", q.au_fa_fr, ".2e", interval)
        | with_interval("au_fa_fr_at_sc_prevalence", q.at_speech_commands, ".2e", interval)
    )


def called(name: str) -> str:
    """The title of a network, or the name itself where it is none of the study."""
    every = RUNGS | FROM_EARS | STREAMS | STORED
    return every[name].title if name in every else name


def point_columns(p: WorkingPoint) -> Row:
    """Threshold, misses and false alarms an hour with their intervals, and the median delay of the hits."""
    counts = {"threshold": f"{p.threshold:.4f}", "missed": p.misses, "keywords": p.keywords}
    missed = (p.miss_rate, *p.miss_interval) if p.keywords else [float("nan")] * 3
    alarms = (p.false_alarms_per_hour, *p.false_alarm_interval)
    return (
        counts
        | with_interval("missed_percent", missed, ".1%", ".1%")
        | {"false_alarms": p.false_alarms, "hours": f"{p.hours:.2f}"}
        | with_interval("false_alarms_per_hour", alarms, ".2f", ".2f")
        | {"median_delay_s": cell(p.median_delay, ".2f")}
    )
