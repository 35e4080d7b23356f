"""Tables of streams, as text: what they were trained on, misses and false alarms, equality, files."""

from collections.abc import Sequence

from tabulate import tabulate

from kws.research.hearing import Equality, Saved
from kws.research.networks import titles
from kws.research.stream_choice import SHOWN, Choice
from kws.streaming.scoring import WorkingPoint, threshold_for

CLIP_BASE_MACS = 432_672  # a second of sound, of the base of clips


def points_table(rows: dict[str, WorkingPoint]) -> str:
    """A line a working point: threshold, misses and false alarms per hour with 95 % intervals, and the median delay."""
    lines = []
    for name, p in rows.items():
        missed = "{:.1%} [{:.1%}, {:.1%}]".format(p.miss_rate, *p.miss_interval) if p.keywords else ""
        alarms = "{:.2f} [{:.2f}, {:.2f}]".format(p.false_alarms_per_hour, *p.false_alarm_interval)
        delay = f"{p.median_delay:.2f} s" if p.misses < p.keywords else ""
        counts = (f"{p.threshold:.4f}", f"{p.misses} of {p.keywords}", missed, p.false_alarms, f"{p.hours:.2f}")
        lines.append([name, *counts, alarms, delay])
    heads = ["", "threshold", "missed", "rate", "false alarms", "hours", "false alarms an hour", "median delay"]
    return tabulate(lines, heads, disable_numparse=True, colalign=["left"] + ["right"] * 7)


def summary_table(
    shipped: dict[tuple[str, str], WorkingPoint], two_stages: dict[str, WorkingPoint], scenes: Sequence[str]
) -> str:
    """What is shipped, on a few streams: misses with their interval, false alarms an hour of talk, and the median delay.

    Args:
        shipped: of the students, by network and scene.
        two_stages: by scene.
        scenes: the streams shown; "talk" gives the false alarms.
    """
    points = {titles(name)[name]: {s: p for (n, s), p in shipped.items() if n == name} for name, _ in shipped}
    points["two stages"] = two_stages
    lines = []
    for name, found in points.items():
        talk = found["talk"]
        alarms = "{:.1f} [{:.1f}, {:.1f}]".format(talk.false_alarms_per_hour, *talk.false_alarm_interval)
        for scene in scenes:
            p = found[scene]
            missed = "{:.1%} [{:.1%}, {:.1%}]".format(p.miss_rate, *p.miss_interval)
            delay = f"{p.median_delay:.2f} s" if p.misses < p.keywords else ""
            lines.append([name, scene, missed, p.false_alarms, alarms, delay])
    heads = ["network", "SNR", "keywords missed", "false alarms in the stream", "an hour of talk", "median delay"]
    return tabulate(lines, heads, disable_numparse=True)


def at_most(curves: dict[str, Sequence[WorkingPoint]], allowed: Sequence[float] = SHOWN) -> dict[str, WorkingPoint]:
    """Of each curve the points of fewest misses at so many false alarms an hour."""
    return {
        f"{name}, at most {most:g} per hour": threshold_for(points, most)
        for name, points in curves.items()
        for most in allowed
    }


def material_table(choice: Choice) -> str:
    """Of what the models were trained on and chosen on there was how much."""
    rows = []
    for m in choice.material:
        talk, recorded = f"{m.talk_minutes:.0f}", f"{m.recorded_minutes:.0f}"
        rows.append([m.subset, m.keywords, m.words, m.talk_phrases, talk, m.recorded_phrases, recorded])
    heads = ["keywords", "other words", "phrases of talk", "minutes of talk"]
    return tabulate(rows, ["", *heads, "phrases of recorded speech", "minutes of it"])


def equality_table(found: Sequence[Equality], cuttings: int) -> str:
    """Largest differences in probability of each model, by how it streams."""
    names = titles(*{row.name for row in found})
    rows = [[names[row.name], row.way, row.cuttings, row.offline] for row in found]
    heads = ["model", "way", f"largest difference, {cuttings} cuttings", "from offline, 600 clips of 1 s"]
    return tabulate(rows, heads, floatfmt=".1e")


def saved_table(found: Sequence[Saved]) -> str:
    """The streams' files: what they cost and how equal they are."""
    rows = []
    for s in found:
        sizes = (s.torchscript_bytes, s.onnx_bytes, s.difference)
        rows.append([titles(s.name)[s.name], s.macs, CLIP_BASE_MACS / s.macs, *sizes])
    heads = ["stream", "MACs a second, offline (thop)", "speed-up", "bytes TorchScript", "bytes ONNX"]
    return tabulate(rows, [*heads, "largest difference"], floatfmt=("", ",", ".1f", ",", ",", ".1e"), intfmt=",")


def choice_lines(choice: Choice) -> str:
    """How many scenes there were, and which seeds and thresholds were chosen."""
    if len(choice.scenes) == 1:  # of a typed word
        lines = [f"{choice.scenes[0]:,} scenes"]
    else:
        first, mined, all_of_them = choice.scenes
        lines = [f"{first:,} scenes at first, {mined:,} with the mined ones, {all_of_them:,} for the students"]
    for name, seed in choice.seeds.items():
        lines.append(f"{titles(name)[name]}: seed {seed} goes on, with threshold {choice.thresholds[name]:.4f}")
    return "\n".join(lines)
