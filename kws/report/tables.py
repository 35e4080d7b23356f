"""Tables of clips, as text: cost, quality with intervals, and the bars that were to be reached."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tabulate import tabulate

from kws.report.columns import cell
from kws.research.measured import Measured
from kws.research.ruler import Ruled


def quality_table(rows: Sequence[Measured], kind: str, base: str = "base") -> str:
    """Mean over seeds and 95 % bootstrap interval over test clips; the last column is 1 - AUC over the base's. Networks not trained on the kind of split are left out."""
    first = next((r.quality[kind] for r in rows if r.name == base), None)
    lines = []
    for r in rows:
        if kind not in r.quality:
            continue
        q = r.quality[kind]
        values = ["{:.2e} [{:.1e}, {:.1e}]".format(*v) for v in (q.one_minus_auc, q.au_fa_fr, q.at_speech_commands)]
        ratio = cell(q.times(first), ".2f") if first else ""
        lines.append([r.title, q.seeds, *values, f"{q.spread:.1e}", ratio])
    heads = ["network", "seeds", "1 - AUC", "AU_FA_FR", "AU_FA_FR at SC prevalence", "spread of seeds", "times base"]
    return tabulate(lines, heads, disable_numparse=True)


def ladder_table(rows: Sequence[Measured], base: str = "base") -> str:
    """Cost and quality in one: size, MACs, score, and 1 - AUC over the base's with AU_FA_FR at Speech Commands prevalence."""
    first, lines = next(r for r in rows if r.name == base), []
    for r in rows:
        cost = (f"{r.parameters:,}", f"{r.bytes:,}", f"{r.macs:,}", f"{r.compression:.1f}", f"{r.speedup:.1f}")
        line = [r.title, *cost, f"{r.score:.3f}"]
        for kind, compared in first.quality.items():
            q = r.quality.get(kind)  # not every network is trained on every kind of split
            area = "{:.1e} [{:.1e}, {:.1e}]".format(*q.at_speech_commands) if q else ""
            line += [area, cell(q.times(compared), ".2f") if q else ""]
        lines.append(line)
    heads = ["network", "parameters", "bytes", "MACs", "compression", "speed-up", "score of 7"]
    heads += [head for kind in first.quality for head in (f"{kind}: AU_FA_FR at SC", "times base")]
    return tabulate(lines, heads, disable_numparse=True, colalign=["left"] + ["right"] * (len(heads) - 1))


def whole_table(rows: Sequence[Measured]) -> str:
    """Multiplications for a second of sound from samples to probability, by part, and bytes; times fewer than the base's."""
    lines = []
    for r in rows:
        whole = r.whole
        rest = whole.front_end - whole.fourier + whole.pooling
        parts = [f"{count:,}" for count in (whole.fourier, rest, whole.network, whole.multiplications)]
        size = [f"{whole.bytes:,}", f"{r.whole_compression:.1f}"]
        lines.append([r.title, *parts, f"{r.whole_speedup:.2f}", *size])
    heads = ["network", "Fourier transform", "rest of the log-mel, pooling", "network alone", "all in", "times fewer"]
    heads += ["bytes all in", "times fewer"]
    return tabulate(lines, heads, disable_numparse=True, colalign=["left"] + ["right"] * (len(heads) - 1))


def ruler_table(rows: Sequence[Ruled], kind: str, without: Collection[str] = ()) -> str:
    """Times the base's 1 - AUC on the same clips, with 95 % intervals over speakers: a row a condition, a column a network."""
    rows = [r for r in rows if r.split == kind and r.network not in without]
    networks, lines = list(dict.fromkeys(r.network for r in rows)), []
    for condition in dict.fromkeys(r.condition for r in rows):
        found = {r.network: r.paired for r in rows if r.condition == condition}
        ratios = [f"{p.ratio:.2f} [{p.low:.2f}, {p.high:.2f}]" for p in (found[network] for network in networks)]
        lines.append([condition, f"{next(iter(found.values())).of_other:.1e}", *ratios])
    return tabulate(lines, ["condition", "base's 1 - AUC", *networks], disable_numparse=True)


def compared_table(rows: Sequence[Measured]) -> str:
    """1 - AUC of networks on each kind of split, mean over seeds and 95 % interval over clips."""
    kinds = list(rows[0].quality)
    lines = [[r.title, *("{:.1e} [{:.1e}, {:.1e}]".format(*r.quality[k].one_minus_auc) for k in kinds)] for r in rows]
    return tabulate(lines, ["learns from", *(f"1 - AUC, {kind} split" for kind in kinds)], disable_numparse=True)


@dataclass(frozen=True)
class Bar:
    """What a network was to reach: least rates against the base, most times its 1 - AUC, and most AU_FA_FR at Speech Commands prevalence."""

    compression: float
    speedup: float
    times_base: float
    at_speech_commands: float = float("inf")


BARS = {
    "gru_small": Bar(2.578, 2.059, 1.1),
    "rnn": Bar(7.623, 8.507, 1.1),
    "rnn_fp16": Bar(12.045, 8.507, 1.1, 5.132e-5),
    "beyond": Bar(25.0, 25.0, 1.0),
}


def bars_table(rows: Sequence[Measured], kind: str) -> str:
    """Each bar of the ladder with what was reached: "yes" or "no" is all of the row's bars together."""
    found = {row.name: row for row in rows}
    base = found["base"].quality[kind].at_speech_commands[0]
    lines = []
    for name, bar in BARS.items():
        row = found[name]
        quality = row.quality[kind].at_speech_commands[0]
        allowed = min(bar.times_base * base, bar.at_speech_commands)
        held = row.compression >= bar.compression and row.speedup >= bar.speedup and quality <= allowed
        rates = (f"{row.compression:.3f} / {bar.compression}", f"{row.speedup:.3f} / {bar.speedup}")
        lines.append([row.title, *rates, f"{quality:.2e} / {allowed:.2e}", f"{row.score:.3f}", "yes" if held else "no"])
    heads = ["step", "compression / least", "speed-up / least", "quality / most", "score of 7", "held"]
    return tabulate(lines, heads, disable_numparse=True)
