"""``kws search``: find the smallest detectors of a keyword within a budget, and say what each costs and how it errs.

The study is kept in a database. The same command again, here or on other machines, goes on with it.
"""

import argparse
import sys
import time
from contextlib import suppress

from tqdm import tqdm

from kws.research.settings import Settings
from kws.research.study import Study

STORAGE = "sqlite:///runs/search.db"
TRIALS = 100


def main(arguments: list[str] | None = None, prog: str = "kws search") -> None:
    """The command line. Raises ``ValueError``, ``CorpusError`` and ``OSError``."""
    parser = argparse.ArgumentParser(prog=prog, description="Search for the smallest detector of a keyword.")
    parser.add_argument("--keyword", help="the word to hear (default: KWS_KEYWORD, or sheila)")
    parser.add_argument("--corpus", help="a folder of recordings, or synthetic (default: KWS_CORPUS, or synthetic)")
    parser.add_argument("--budget", type=float, default=float("inf"), help="most multiplications a second, all in")
    parser.add_argument("--storage", default=STORAGE, help=f"URL of the study's database (default: {STORAGE})")
    parser.add_argument("--study", help="its name there (default: <corpus>-<keyword>)")
    parser.add_argument("--trials", type=int, help=f"of the whole study (default: {TRIALS}, with --minutes any number)")
    parser.add_argument("--minutes", type=float, help="after which no trial is begun")
    parser.add_argument("--epochs", type=int, help="of a trial that is not stopped (default: KWS_EPOCHS, or 50)")
    parser.add_argument("--csv", metavar="FILE", help="write a row for every trial to this file")
    parser.add_argument("--labels-only", action="store_true", help="do without teachers, which take long to train")
    parser.add_argument("--rerun", type=int, metavar="NUMBER", help="train this trial again, and compare")
    parser.add_argument("--save", type=int, metavar="NUMBER", help="train this trial again, and write its checkpoint")
    options = parser.parse_args(arguments)
    for name in ("trials", "minutes", "epochs"):
        if (value := getattr(options, name)) is not None and not value > 0:
            parser.error(f"--{name} must be more than 0")
    # optuna is loaded when a search is wanted, and not before.
    try:
        from kws.report.search_tables import compared, front, write_trials
        from kws.research import search as searching
        from kws.research.search_material import Material
        from kws.research.search_rerun import rerun, save_rerun
        from kws.research.search_space import SPECTRA, candidate
        from kws.research.search_workers import LOST, begin, connect, search
    except ModuleNotFoundError as error:
        raise ValueError(f"a search needs optuna: pip install optuna ({error})") from error
    # What can be wrong is looked at before anything takes long.
    searching.check_budget(options.budget)
    given = {name: getattr(options, name) for name in ("keyword", "corpus") if getattr(options, name)}
    settings = Settings.from_environment(given)
    searching.open_storage(options.storage).engine.dispose()
    material = Material(Study(settings), options.epochs or settings.epochs, not options.labels_only)
    name = options.study or f"{material.study.corpus.name}-{material.study.keyword}"
    if (number := options.save if options.rerun is None else options.rerun) is not None:
        found = rerun(connect(options.storage, name, material), number, material)
        if options.save is None:
            print(compared(found))
        else:
            path = material.study.weights / f"searched-{number}.pt"
            save_rerun(found, material, path)
            print(
                f"{path}: {candidate(found.trial.params)}\n1 - AUC {found.errors[-1]:.3e}; hear it with: kws listen {path}"
            )
        return
    begin(options.storage, name, material)
    for spectrum in SPECTRA:
        material.spectrum(spectrum)
    trials = options.trials or (float("inf") if options.minutes else TRIALS)
    until = time.time() + 60 * options.minutes if options.minutes else float("inf")
    limits = searching.Limits(options.budget, trials, until)
    try:
        with Progress(limits, searching.trained) as progress:
            search(options.storage, name, material, limits, progress.show)
    except KeyboardInterrupt:
        print("stopped: finished trials are kept, and the same command goes on", file=sys.stderr)
        raise
    finally:
        # Whatever ended it is told, not that its database is lost as well.
        stopped = sys.exc_info()[0]
        with suppress(ValueError, OSError, *LOST):
            print(front(connect(options.storage, name, material)))
            print(f"kept as {name!r} in {searching.shown_url(options.storage)}; write one with --save NUMBER")
        if options.csv:
            try:
                write_trials(connect(options.storage, name, material), material.split.fingerprint, options.csv)
            except (ValueError, OSError, *LOST) as error:
                if not stopped:
                    raise
                print(f"{options.csv}: not written ({error})", file=sys.stderr)


class Progress:
    """One line: trials done and running, the least error so far, time left."""

    def __init__(self, limits, trained):
        self.limits, self.trained, self.bar = limits, trained, None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_) -> None:
        if self.bar is not None:
            self.bar.close()

    def show(self, study) -> None:
        """What the study has come to."""
        trials = study.get_trials(deepcopy=False)
        done = len(self.trained(trials))
        if self.bar is None:
            total = None if self.limits.trials == float("inf") else self.limits.trials
            self.bar = tqdm(total=total, initial=done, desc="search", unit="trial")
        running = sum(trial.state.name == "RUNNING" for trial in trials)
        errors = [trial.values[0] for trial in trials if trial.state.name == "COMPLETE"]
        parts = [f"{running} running"] + ([f"least error {min(errors):.2e}"] if errors else [])
        if self.limits.until < float("inf"):
            parts.append(f"{max(0.0, self.limits.until - time.time()) / 60:.1f} minutes left")
        self.bar.set_postfix_str(", ".join(parts), refresh=False)
        self.bar.n = done
        self.bar.refresh()
