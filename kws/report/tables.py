"""What saved networks cost and how good they are: only loads and evaluates, so that every number can be repeated."""

from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

from kws.checkpoint import load_model, stored_tensors
from kws.cost import count_macs, count_macs_exactly, count_parameters, score, size_in_bytes
from kws.evaluate import Quality, judge_checkpoint, quality
from kws.research.ladder import seed_path
from kws.views import TrainingData


@dataclass(frozen=True)
class Measured:
    """One network: costs of its first seed's file, quality over all seeds by kind of split.

    ``value_bytes`` is what the values (and int8's scales) take; ``bytes`` is with the file format around them.
    ``compression`` and ``speedup`` are against the base.
    """

    name: str
    title: str
    parameters: int
    bytes: int
    value_bytes: int
    macs: int
    exact_macs: int
    compression: float
    speedup: float
    quality: dict[str, Quality]

    @property
    def score(self) -> float:
        return score(self.compression, self.speedup)


def measure(
    titles: dict[str, str],
    sets: dict[str, TrainingData],
    results: str,
    seeds: int,
    base: Sequence["Measured"] = (),
) -> list[Measured]:
    """Load and evaluate the networks of these names (and titles). Rates are against the first of ``base``, or else of themselves."""
    rows: list[Measured] = []
    for name, title in titles.items():
        kinds = {}
        for kind, data in sets.items():
            paths = [seed_path(results, name, kind, seed) for seed in range(seeds)]
            kinds[kind] = quality([judge_checkpoint(path, data) for path in paths])
        path = seed_path(results, name, next(iter(sets)), 0)
        model, size = load_model(path), size_in_bytes(path)
        macs = count_macs(model)
        first = next(iter([*base, *rows]), None)
        base_size, base_macs = (first.bytes, first.macs) if first else (size, macs)
        value_bytes = sum(tensor.numel() * tensor.element_size() for tensor in stored_tensors(path).values())
        costs = (count_parameters(model), size, value_bytes, macs, count_macs_exactly(model))
        rows.append(Measured(name, title, *costs, base_size / size, base_macs / macs, kinds))
    return rows


def cost_table(rows: Sequence[Measured]) -> str:
    """Parameters, bytes, multiply-accumulates, rates against the base, score."""
    return tabulate(
        [
            [
                r.title,
                *(f"{value:,}" for value in (r.parameters, r.bytes, r.value_bytes, r.macs, r.exact_macs)),
                *(f"{value:.3f}" for value in (r.compression, r.speedup, r.score)),
            ]
            for r in rows
        ],
        [
            "network",
            "parameters",
            "bytes",
            "of values",
            "MACs (thop)",
            "exactly",
            "compression",
            "speed-up",
            "score of 7",
        ],
        disable_numparse=True,
        colalign=["left"] + ["right"] * 8,
    )


def quality_table(rows: Sequence[Measured], kind: str, base: str = "base") -> str:
    """Mean over seeds and 95 % bootstrap interval over test clips; the last column is 1 - AUC over the base's. Networks not trained on the kind of split are left out."""
    compared = next((r.quality[kind].one_minus_auc[0] for r in rows if r.name == base), None)
    lines = []
    for r in rows:
        if kind not in r.quality:
            continue
        q = r.quality[kind]
        values = ["{:.2e} [{:.1e}, {:.1e}]".format(*v) for v in (q.one_minus_auc, q.au_fa_fr, q.at_speech_commands)]
        ratio = f"{q.one_minus_auc[0] / compared:.2f}" if compared else ""
        lines.append([r.title, q.seeds, *values, f"{q.spread:.1e}", ratio])
    heads = ["network", "seeds", "1 - AUC", "AU_FA_FR", "AU_FA_FR at SC prevalence", "spread of seeds", "times base"]
    return tabulate(lines, heads, disable_numparse=True)


BARS = {  # name: least compression, least speed-up, most of the base's quality, most at Speech Commands prevalence
    "gru_small": (2.578, 2.059, 1.1, None),
    "rnn": (7.623, 8.507, 1.1, None),
    "rnn_fp16": (12.045, 8.507, 1.1, 5.132e-5),
    "beyond": (25.0, 25.0, 1.0, None),
}


def bars_table(rows: Sequence[Measured], kind: str) -> str:
    """Each bar of the ladder with what was reached: "yes" or "no" is all of the row's bars together."""
    found = {row.name: row for row in rows}
    base = found["base"].quality[kind].at_speech_commands[0]
    lines = []
    for name, (compression, speedup, share, most) in BARS.items():
        row = found[name]
        quality = row.quality[kind].at_speech_commands[0]
        allowed = min(share * base, most or share * base)
        held = row.compression >= compression and row.speedup >= speedup and quality <= allowed
        rates = (f"{row.compression:.3f} / {compression}", f"{row.speedup:.3f} / {speedup}")
        lines.append([row.title, *rates, f"{quality:.2e} / {allowed:.2e}", f"{row.score:.3f}", "yes" if held else "no"])
    heads = ["step", "compression / least", "speed-up / least", "quality / most", "score of 7", "held"]
    return tabulate(lines, heads, disable_numparse=True)
