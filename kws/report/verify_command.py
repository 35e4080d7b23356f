"""``kws verify CHECKPOINT ...``: what seeds of a network come to against the base, as the README's record table has it."""

import argparse
from pathlib import Path

from kws.report.claim_tables import claim_table
from kws.report.results import read
from kws.research.claim import verify
from kws.research.paired import RESAMPLES
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
    print(
        claim_table([options.checkpoints[0].stem], [verify(study, options.checkpoints, audited(), resamples=RESAMPLES)])
    )


def audited(path: Path = AUDITED) -> list[str]:
    """Names of the clips that an audit left out; none where there was no audit."""
    return [row["clip"] for row in read(path)] if path.is_file() else []
