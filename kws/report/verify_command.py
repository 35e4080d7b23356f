"""``kws verify CHECKPOINT ...``: what seeds of a network come to against the base, as the README's record table has it."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from kws.report.results import read
from kws.research.claim import Claim, verify
from kws.research.settings import Settings
from kws.research.study import Study

AUDITED = Path("docs/results/audit.csv")  # clips that no network hears; they are not counted as recorded


def main(arguments: list[str] | None = None, prog: str = "kws verify") -> None:
    """The command line. Raises ``ValueError``, ``CorpusError`` and ``OSError``."""
    description = "Verify a claimed record: seeds of one network, against the base on the same test clips."
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("checkpoints", nargs="+", type=Path, help="of one network and one kind of split, a seed each")
    parser.add_argument("--keyword", help="the word to hear (default: KWS_KEYWORD, or sheila)")
    parser.add_argument("--corpus", help="a folder of recordings, or synthetic (default: KWS_CORPUS, or synthetic)")
    options = parser.parse_args(arguments)
    given = {name: getattr(options, name) for name in ("keyword", "corpus") if getattr(options, name)}
    study = Study(Settings.from_environment(given))
    # The base of committed weights is beside them.
    if (seeds := options.checkpoints[0].resolve().parent).name == "seeds":
        study.weights = seeds.parent
    print(table([verify(study, options.checkpoints, audited())]))


def audited(path: Path = AUDITED) -> list[str]:
    """Names of the clips that an audit left out; none where there was no audit."""
    return [row["clip"] for row in read(path)] if path.is_file() else []


def table(claims: Sequence[Claim]) -> str:
    """A line a claim: rates against the base, and error on the same clips with 95 % intervals over speakers."""
    lines = []
    for c in claims:
        macs, size = c.base.macs / c.costs.macs, c.base.bytes / c.costs.bytes
        whole = c.base.multiplications / c.costs.multiplications
        rates = [f"{c.costs.macs:,} ({macs:.1f}x)", f"{c.costs.bytes:,} ({size:.1f}x)"]
        rates.append(f"{c.costs.multiplications:,} ({whole:.2f}x)")
        errors = [f"{c.noise.ratio:.2f} [{c.noise.low:.2f}, {c.noise.high:.2f}]"]
        errors.append(f"{c.missed:.1%} ({c.missed_by_base:.1%})")
        lines.append([c.kind, c.seeds, *rates, *errors, "yes" if c.no_loss else "no"])
    heads = [
        "split",
        "seeds",
        "network MACs",
        "bytes",
        "multiplications\nall in",
        "1 - AUC in unheard\nnoise, times base",
    ]
    heads += ["missed as recorded\n(base)", "no loss"]
    return tabulate(lines, heads, disable_numparse=True)
