"""``kws bench [MODEL ...] --word FOLDER --talk FOLDER``: how many of people's recordings of a word engines miss, and how often they are wrong.

An engine is a stream of this package (TorchScript, ONNX or a checkpoint), or another one by an adapter: ``--engine MODULE:CLASS=WORD``,
such as those of ``recipes/engines.py``. All hear the same samples, and one event rule holds for all:

- Each recording of the word is a chance. It is hit by a detection from its start until 0.5 s after its end, for where in it the word lies
  is not known. Further detections around it count neither way.
- Each detection in the talk is a false alarm. After a detection there is none for a second. Hours are those of the recordings alone.
- The best thresholds are chosen on what is played, so they are better than any that could be known before.
"""

import argparse
import importlib
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from kws.data.audio import SAMPLE_RATE
from kws.data.jobs import in_order
from kws.data.storage import check_file
from kws.report.bench_sound import AROUND_TALK, AROUND_WORDS, Played, played, read_folders, second_halves
from kws.report.bench_table import Result, csv_rows, notes, table, write_csv
from kws.report.timing import measure_streams, row_names
from kws.streaming import load_stream
from kws.streaming.detection import smooth, step_times
from kws.streaming.onnx_stream import OnnxStream
from kws.streaming.scoring import TOLERANCE, Heard, WorkingPoint, threshold_for, working_points

LIMITS = (0.1, 0.5, 5.0)  # false alarms per hour
SNR_DB = 10.0
ROUNDING = 1e-9  # of smoothed probabilities, at most
TIMED = 0.08  # seconds of sound in a call that is timed, a step of openWakeWord


class Engine(Protocol):
    """What an adapter gives. A class that takes the word and imports its package in ``__init__``.

    Attributes:
        name: of its row, with its version.
        keyword: what it hears.
        threshold: the one that it ships with, within 0 and 1.
        smoothing: steps whose mean counts; 1 where the engine takes the mean itself.
        step_samples: samples between two probabilities.
        first_sample: samples heard when the first probability is there.
        bytes: of all files that it needs to hear this word.
    """

    name: str
    keyword: str
    threshold: float
    smoothing: int
    step_samples: int
    first_sample: int
    bytes: int

    def reset(self) -> None:
        """Forget what was heard."""

    def __call__(self, chunk: np.ndarray) -> np.ndarray:
        """More samples (any number,) float32 in [-1, 1) at 16 kHz to the probability of each new step (steps,)."""


class OurStream:
    """A stream of this package as an ``Engine``. Raises ``CheckpointError`` and ``OSError`` as loading does."""

    def __init__(self, path: str | Path, name: str):
        check_file(path)
        self.name, self.bytes = name, Path(path).stat().st_size
        self._onnx = Path(path).suffix == ".onnx"
        self._model = OnnxStream(path) if self._onnx else load_stream(path)
        self.keyword, self.threshold, self.smoothing = self._model.keyword, self._model.threshold, self._model.smoothing
        self.step_samples, self.first_sample = self._model.step_samples, self._model.first_sample
        self.reset = self._model.reset

    @torch.inference_mode()
    def __call__(self, chunk: np.ndarray) -> np.ndarray:
        return self._model(chunk) if self._onnx else self._model(torch.from_numpy(chunk)).numpy()


def open_engine(asked: str) -> Engine:
    """The adapter of "MODULE:CLASS=WORD". Raises ``ValueError`` if there is none, or what it needs is not installed."""
    place, _, word = asked.partition("=")
    module, _, name = place.partition(":")
    if not (module and name and word):
        raise ValueError(f"--engine {asked}: give MODULE:CLASS=WORD, such as recipes.engines:OpenWakeWord=alexa")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # the console command starts without it
    try:
        return getattr(importlib.import_module(module), name)(word)
    except ImportError as error:
        raise ValueError(f"--engine {asked}: {error}; install what it needs, or leave it out") from error
    except AttributeError as error:
        raise ValueError(f"--engine {asked}: {error}") from error


def hear(engine: Engine, stream: Played) -> np.ndarray:
    """What an engine says (steps,) to a stream from a reset on."""
    engine.reset()
    return np.concatenate([engine(block.astype(np.float32) / 32768) for block in stream.blocks])


def hear_all(engines: Sequence[Engine], streams: Sequence[Played]) -> list[list[np.ndarray]]:
    """Of each engine, what it says to each stream, on every core."""
    jobs = [(engine, stream) for engine in range(len(engines)) for stream in range(len(streams))]
    lengths = [sum(map(len, stream.blocks)) // SAMPLE_RATE for stream in streams]
    found = in_order(
        lambda job: hear(engines[job[0]], streams[job[1]]), jobs, "playing", "s", size=lambda job: lengths[job[1]]
    )
    return [[next(found) for _ in streams] for _ in engines]


def points_at(engine: Engine, word: Heard, talk: Heard, thresholds: Sequence[float]) -> list[WorkingPoint]:
    """At each threshold the misses of the word's recordings and the false alarms of the talk."""
    how = (engine.step_samples, engine.first_sample, engine.smoothing, thresholds)
    both = zip(working_points([word], *how), working_points([talk], *how), strict=True)
    return [replace(missed, false_alarms=alarms.false_alarms, hours=alarms.hours) for missed, alarms in both]


def peaks(engine: Engine, word: Heard) -> np.ndarray:
    """The thresholds (up to one a recording), in order, at which one more recording is just hit."""
    smoothed = smooth(word.probabilities, engine.smoothing)
    times = step_times(0, len(smoothed), engine.step_samples, engine.first_sample)
    inside = [smoothed[(times >= start) & (times <= end + TOLERANCE)] for start, end in word.keywords]
    return np.unique([part.max(initial=0.0) for part in inside])


def best(engine: Engine, word: Heard, talk: Heard) -> dict[float, WorkingPoint | None]:
    """For each of ``LIMITS`` the point of fewest misses with so few false alarms per hour, or None."""
    # The thresholds of the recordings, and one above all. What differs by rounding alone is equal.
    highest = max(word.probabilities.max(), talk.probabilities.max())
    thresholds = np.append(peaks(engine, word) - ROUNDING, highest + ROUNDING).clip(0, 1)
    points, found = points_at(engine, word, talk, thresholds), {}
    for limit in LIMITS:
        try:
            found[limit] = threshold_for(points, limit)
        except ValueError:
            found[limit] = None
    return found


def run(engines: Sequence[Engine], word: Played, talk: Played) -> list[Result]:
    """Play both streams to all engines, then time them: they take turns on one thread."""
    names = [engine.name for engine in engines]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ValueError(f"{twice[0]} is asked for twice")
    said = hear_all(engines, (word, talk))
    costs = {c.stream: c.milliseconds for c in measure_streams(dict(zip(names, engines, strict=True)), chunks=[TIMED])}
    results = []
    for engine, (to_word, to_talk) in zip(engines, said, strict=True):
        heard = Heard(to_word, word.spans, word.seconds), Heard(to_talk, [], talk.seconds)
        (shipped,) = points_at(engine, *heard, [engine.threshold])
        told = (engine.name, engine.keyword, best(engine, *heard), shipped)
        results.append(Result(*told, costs[engine.name], engine.bytes))
    return results


def main(arguments: list[str] | None = None, prog: str = "kws bench") -> None:
    """The command line. Raises ``CheckpointError``, ``CorpusError``, ``OSError`` and ``ValueError``."""
    parser = argparse.ArgumentParser(
        prog=prog, description="How many recordings of a word engines miss, and how often they are wrong."
    )
    parser.add_argument("models", nargs="*", help="streams (.pt or .onnx), or checkpoints")
    parser.add_argument("--word", required=True, help="folder of recordings in which the word is said once")
    parser.add_argument(
        "--talk", required=True, action="append", help="folder of talk without the word; may be given again"
    )
    parser.add_argument(
        "--noise", help="folder of noise, of which the second half of each file is used (default: quiet)"
    )
    parser.add_argument("--snr", type=float, help=f"dB that speech is louder than the noise (default: {SNR_DB:g})")
    parser.add_argument(
        "--engine", action="append", default=[], help="another engine, MODULE:CLASS=WORD; may be given again"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the places in the noise (default: 0)")
    parser.add_argument("--csv", help="also write the table to this file")
    options = parser.parse_args(arguments)
    if not options.models + options.engine:
        parser.error("give a model, or --engine")
    if options.snr is not None and options.noise is None:
        parser.error("--snr needs --noise FOLDER")
    snr_db = None if options.noise is None else SNR_DB if options.snr is None else options.snr
    if snr_db is not None and not math.isfinite(snr_db):
        parser.error("--snr must be a number of dB")
    # Open all engines, and read all sounds, before the first is played.
    torch.set_num_threads(1)
    engines: list[Engine] = [OurStream(path, name) for path, name in row_names(options.models).items()]
    engines += [open_engine(asked) for asked in options.engine]
    word, talk = read_folders([options.word], "the word"), read_folders(options.talk, "the talk")
    if both := [path for path in word if path in talk]:
        raise ValueError(f"{both[0]}: is both a recording of the word and talk without it")
    noises = [] if snr_db is None else second_halves(list(read_folders([options.noise], "the noise").values()))
    # The word and the talk each get a stretch of noise a recording.
    how = {"noises": noises, "snr_db": snr_db}
    streams = (
        played(list(word.values()), AROUND_WORDS, **how, seed=(options.seed, 0)),
        played(list(talk.values()), AROUND_TALK, **how, seed=(options.seed, 1)),
    )
    results, name = run(engines, *streams), Path(options.word).resolve().name
    # What came of it.
    where = "in quiet" if snr_db is None else f"at {snr_db:g} dB SNR"
    print(f"{len(word)} recordings of {name}, {streams[1].seconds / 3600:.2f} h of talk, {where}")
    print(table(results))
    for line in notes(results, name):
        print(f"note: {line}")
    if options.csv:
        write_csv(options.csv, [row for result in results for row in csv_rows(result, name, snr_db)])
