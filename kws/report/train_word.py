"""``kws train WORD``: make a detector of a word or phrase that is typed, and say what is to be expected of it.

Synthetic voices say it; networks that begin as a pretrained ear learn it from them. A run that was stopped goes on where it was.
"""

import argparse
import os
import time

import torch

from kws.research.hearing import TALK, Hearing
from kws.research.settings import EFFORTS, Settings
from kws.research.word_study import WordStudy
from kws.voices.fetch import fetch_or_say

HEARD = "10 dB"


def main(arguments: list[str] | None = None, prog: str = "kws train") -> None:
    """The command line. Raises ``ValueError``, ``CorpusError`` and ``OSError``."""
    parser = argparse.ArgumentParser(prog=prog, description="Make a detector of a word or phrase that you type.")
    parser.add_argument("word", help='such as alexa or "hey computer", at most two seconds of it')
    parser.add_argument("--say", help="how it is said, where its spelling misleads: siobhan is said shivawn")
    parser.add_argument("--positive", metavar="FOLDER", help="own recordings of it, once in each; five help already")
    parser.add_argument("--negative", metavar="FOLDER", help="own recordings without it, as of the room it is for")
    parser.add_argument("--talk", metavar="FOLDER", help="recorded talk without it, to count false alarms on")
    parser.add_argument("--seeds", type=int, help="trainings of each network, of which the best is kept (default: 1)")
    parser.add_argument("--effort", choices=EFFORTS, help="(default: small, some ten minutes on two cores)")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    torch.set_num_threads(1)
    given = {name: value for name, value in vars(options).items() if value is not None and name != "word"}
    settings = word_settings(options.word, **given)
    study = WordStudy(settings)
    print(f"{study.keyword!r}, said {(settings.say or study.keyword.replace('_', ' '))!r}")
    study.fit_streams()
    tests = Hearing(study)
    tests.ship(two_stages=False)
    print(expected(tests))
    print(f"{(time.perf_counter() - started) / 60:.1f} minutes; hear it with: kws listen {study.keyword}")


def word_settings(word: str, **given) -> Settings:
    """Settings of a typed word: what it learns from is fetched if none is named; values given here count more than the environment's."""
    fetched = {
        field: fetch_or_say(collection)
        for field, collection in (("voices", "voices"), ("speech", "lines"))
        if field not in given and f"KWS_{field.upper()}" not in os.environ
    }
    usual = {"seeds": 1, "ear": "weights/ears", **fetched}
    return Settings.from_environment({"corpus": "synthetic", "keyword": word, **given}, **usual)


def expected(tests: Hearing) -> str:
    """A line a network: what it misses of voices that it never heard, and its false alarms in talk."""
    found = tests.shipped((HEARD, TALK))
    # People's talk is not full of words like the keyword: it sets a detector off far less often.
    talk = "recorded talk" if tests.study.settings.talk else "synthetic talk full of words like it"
    lines = []
    for name in tests.study.students:
        missed, alarms = found[name, HEARD], found[name, TALK]
        (low, high), (least, most) = missed.miss_interval, alarms.false_alarm_interval
        lines += [
            f"{name}, threshold {missed.threshold:.3f}: at 10 dB SNR it misses {missed.miss_rate:.1%} [{low:.1%}, {high:.1%}] of {missed.keywords}",
            f"    by other synthetic voices, with {alarms.false_alarms_per_hour:.1f} [{least:.1f}, {most:.1f}] false alarms an hour of {talk} ({alarms.hours:.1f} h)",
        ]
    return "\n".join(lines)
