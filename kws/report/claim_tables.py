"""Tables of claimed records: what networks come to against the base, as text and as numbers."""

from collections.abc import Sequence

from tabulate import tabulate

from kws.report.columns import Row, cell, with_interval
from kws.research.claim import Claim


def claim_table(titles: Sequence[str], claims: Sequence[Claim]) -> str:
    """A line a claim: rates against the base, and error on the same clips with 95 % intervals over speakers."""
    lines = []
    for title, c in zip(titles, claims, strict=True):
        macs, size = c.base.macs / c.costs.macs, c.base.bytes / c.costs.bytes
        whole = c.base.multiplications / c.costs.multiplications
        rates = [f"{c.costs.macs:,} ({macs:.1f}x)", f"{c.costs.bytes:,} ({size:.1f}x)"]
        rates.append(f"{c.costs.multiplications:,} ({whole:.2f}x)")
        errors = [f"{c.noise.ratio:.2f} [{c.noise.low:.2f}, {c.noise.high:.2f}]"]
        errors.append(f"{c.missed:.1%} ({c.missed_by_base:.1%})")
        lines.append(
            [title, c.kind, c.seeds, *rates, *errors, *("yes" if held else "no" for held in (c.holds, c.no_loss))]
        )
    heads = [
        "network",
        "split",
        "seeds",
        "network MACs",
        "bytes",
        "multiplications\nall in",
        "1 - AUC in unheard\nnoise, times base",
    ]
    heads += ["missed as recorded\n(base)", "within the\nrecord's bar", "no loss"]
    return tabulate(lines, heads, disable_numparse=True)


def claim_rows(titles: Sequence[str], claims: Sequence[Claim]) -> list[Row]:
    """The same as numbers, a row a claim."""
    rows = []
    for title, c in zip(titles, claims, strict=True):
        costs = {"macs_thop": c.costs.macs, "bytes": c.costs.bytes, "multiplications_all_in": c.costs.multiplications}
        rates = {
            "speed_up": f"{c.base.macs / c.costs.macs:.3f}",
            "compression": f"{c.base.bytes / c.costs.bytes:.3f}",
            "speed_up_all_in": f"{c.base.multiplications / c.costs.multiplications:.3f}",
        }
        times = with_interval("times_base", (c.noise.ratio, c.noise.low, c.noise.high), ".3f", ".3f")
        missed = {"missed_percent": cell(c.missed, ".2%"), "missed_percent_by_base": cell(c.missed_by_base, ".2%")}
        which = {"network": title, "split": c.kind, "seeds": c.seeds}
        held = {"record_bar": "yes" if c.holds else "no", "no_loss": "yes" if c.no_loss else "no"}
        rows.append({**which, **costs, **rates, **times, **missed, **held})
    return rows
