"""How long models take, on one thread: for clips by runtime (eager PyTorch, TorchScript, ONNX Runtime), for streams by the length of a chunk.

``kws time FILE [FILE ...]`` prints a table of the checkpoints among them, and one of the streams (TorchScript or ONNX). All take turns in
every round of one run, and medians are given, so that a busy machine slows all alike.
"""

import argparse
import math
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnxruntime
import torch
from tabulate import tabulate
from torch import nn
from tqdm import tqdm

from kws.checkpoint import load_model
from kws.data.audio import SAMPLE_RATE
from kws.data.storage import check_file
from kws.data.torch_files import CheckpointError, is_torchscript
from kws.features import front_end_of
from kws.report.export import WithFrontEnd, example, to_onnx, to_torchscript
from kws.streaming import largest_difference, load_stream
from kws.streaming.onnx_stream import OnnxStream

RUNTIMES = ("eager", "eager float16", "TorchScript", "ONNX Runtime")
CHUNKS = (0.02, 0.08, 1.0)  # seconds of sound in a call of a stream
WARM_UP = 3  # calls: TorchScript compiles in its first
QUICK, QUICK_CALLS = 0.002, 5  # what takes less than so many seconds is called so often in its turn
CUTTINGS_SECONDS = 5  # of noise, for equal cuttings
Case = TypeVar("Case", bound=Hashable)


@dataclass(frozen=True)
class Latency:
    """Median milliseconds for one call with a batch of one-second clips."""

    model: str
    runtime: str
    batch: int
    front_end: bool
    milliseconds: float


@dataclass(frozen=True)
class StreamCost:
    """Median milliseconds for a second of sound, everything included, in chunks of so many seconds."""

    stream: str
    chunk: float
    milliseconds: float


def measure(models: dict[str, nn.Module], batches: Sequence[int] = (1, 256), seconds: float = 60) -> list[Latency]:
    """Time every model in every runtime, with and without the front end, for about so many seconds.

    float16 is measured without the front end: its spectrum needs float32.
    """
    cases: dict[tuple[str, str, int, bool], Callable[[], object]] = {}
    for batch in batches:
        for front_end in (False, True):
            for name, model in models.items():
                for runtime in RUNTIMES:
                    if not (front_end and runtime == "eager float16"):
                        cases[name, runtime, batch, front_end] = _call(model, runtime, batch, front_end)
    return [Latency(*case, median * 1e3) for case, median in _take_turns(cases, 3, seconds).items()]


def measure_streams(
    streams: dict[str, Callable], rounds: int = 40, seconds: int = 2, chunks: Sequence[float] = CHUNKS
) -> list[StreamCost]:
    """Time streams, such as ``open_stream`` gives, on so many seconds of noise in chunks of each length in seconds."""
    noise = (0.1 * np.random.default_rng(0).standard_normal(seconds * SAMPLE_RATE)).astype(np.float32)

    def hear(stream: Callable, chunk: float) -> Callable[[], None]:
        size = int(chunk * SAMPLE_RATE)
        parts = np.split(noise, range(size, len(noise), size))
        return lambda: [stream(part) for part in parts]

    cases = {(name, chunk): hear(stream, chunk) for name, stream in streams.items() for chunk in chunks}
    return [StreamCost(*case, median / seconds * 1e3) for case, median in _take_turns(cases, rounds).items()]


def open_stream(path: str | Path) -> Callable[[np.ndarray], object]:
    """A TorchScript or ONNX stream that takes NumPy chunks. Raises ``CheckpointError`` or ``OSError``."""
    check_file(path)
    if Path(path).suffix == ".onnx":
        return OnnxStream(path)
    model = load_stream(path)
    return lambda chunk: model(torch.from_numpy(chunk))


def _call(model: nn.Module, runtime: str, batch: int, front_end: bool) -> Callable[[], object]:
    sound = example(model, front_end, batch)
    if runtime == "ONNX Runtime":
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            to_onnx(model, front_end, batch), options, providers=["CPUExecutionProvider"]
        )
        inputs = {"sound": sound.numpy()}
        return lambda: session.run(None, inputs)
    if runtime == "TorchScript":
        run = to_torchscript(model, front_end, batch)
    elif runtime == "eager float16":
        run, sound = _half(model), sound.half()
    else:
        run = WithFrontEnd(front_end_of(model.config), model).eval() if front_end else model
    return lambda: run(sound)


def _half(model: nn.Module) -> nn.Module:
    copy = type(model)(model.config)
    copy.load_state_dict(model.state_dict())
    return copy.half().eval()


@torch.inference_mode()
def _take_turns(cases: dict[Case, Callable[[], object]], rounds: int, seconds: float = 0) -> dict[Case, float]:
    """Median seconds of a call of each case, on one thread: at least so many rounds, and so many seconds in all."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        calls = {case: QUICK_CALLS if _warm(run) < QUICK else 1 for case, run in cases.items()}
        times: dict[Case, list[float]] = {case: [] for case in cases}
        started, done = time.perf_counter(), 0
        with tqdm(desc="taking turns", unit="round") as bar:
            while done < rounds or time.perf_counter() - started < seconds:
                for case, run in cases.items():
                    times[case] += [_timed(run) for _ in range(calls[case])]
                done += 1
                bar.update()
    finally:
        torch.set_num_threads(threads)
    return {case: float(np.median(values)) for case, values in times.items()}


def _timed(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _warm(run: Callable[[], object]) -> float:
    return min(_timed(run) for _ in range(WARM_UP))


def table(latencies: Sequence[Latency], batch: int, front_end: bool) -> str:
    """Milliseconds by model and runtime; in brackets how many times as fast as the first model in the same runtime."""
    chosen = {(t.model, t.runtime): t.milliseconds for t in latencies if (t.batch, t.front_end) == (batch, front_end)}
    models = list(dict.fromkeys(model for model, _ in chosen))
    runtimes = [runtime for runtime in RUNTIMES if (models[0], runtime) in chosen]
    rows = [[m, *(f"{chosen[m, r]:.3f} ({chosen[models[0], r] / chosen[m, r]:.1f})" for r in runtimes)] for m in models]
    return tabulate(rows, ["ms (times as fast)", *runtimes], disable_numparse=True)


def streams_table(costs: Sequence[StreamCost]) -> str:
    """Milliseconds for a second of sound, a line a stream."""
    names = dict.fromkeys(cost.stream for cost in costs)
    rows = [[name, *(f"{cost.milliseconds:.2f}" for cost in costs if cost.stream == name)] for name in names]
    heads = [f"chunks of {chunk * 1e3:.0f} ms" for chunk in dict.fromkeys(cost.chunk for cost in costs)]
    return tabulate(rows, ["ms for 1 s of sound, 1 thread", *heads], disable_numparse=True)


def row_names(paths: Sequence[str | Path]) -> dict[Path, str]:
    """The shortest end of each path that no other has: without its suffix, if that is enough."""
    endings = {Path(path): _endings(Path(path).absolute()) for path in paths}
    owners = Counter(ending for own in endings.values() for ending in own)
    return {path: next((n for n in own if owners[n] == 1), str(path)) for path, own in endings.items()}


def _endings(path: Path) -> list[str]:
    starts = range(len(path.parts) - 1, -1, -1)
    return list(dict.fromkeys(str(Path(*path.parts[i:-1], last)) for i in starts for last in (path.stem, path.name)))


def main(arguments: list[str] | None = None, prog: str = "kws time") -> None:
    """The command line. Raises ``CheckpointError`` and ``OSError``."""
    parser = argparse.ArgumentParser(
        prog=prog, description="How long models take for a second of sound, on one thread."
    )
    parser.add_argument(
        "files", nargs="+", help="checkpoints, the first of which the others are compared with; streams (.pt or .onnx)"
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long to time the checkpoints (default: 60)")
    parser.add_argument("--cuttings", type=int, default=0, help="also compare so many random cuttings of a stream")
    options = parser.parse_args(arguments)
    if not 0 < options.seconds < math.inf or options.cuttings < 0:
        parser.error("--seconds must be more than 0, --cuttings 0 or more")
    # Open all before the first is timed.
    models, streams, scripts = {}, {}, {}
    for path, name in row_names(options.files).items():
        check_file(path)
        if path.suffix == ".onnx":
            streams[name] = open_stream(path)
        elif is_torchscript(path):
            streams[name], scripts[name] = open_stream(path), path
        else:
            models[name] = load_model(path)
            if not hasattr(models[name].config, "n_mels"):
                raise CheckpointError(f"{path}: takes no log-mel, so it cannot be timed; give the other files")
    # Print the tables that fit.
    if models:
        latencies = measure(models, seconds=options.seconds)
        for batch in dict.fromkeys(latency.batch for latency in latencies):
            for front_end in (False, True):
                print(
                    f"\n{batch} clip(s) of 1 s in a call, 1 thread, {'with' if front_end else 'without'} the front end"
                )
                print(table(latencies, batch, front_end))
    if streams:
        print(f"\n{streams_table(measure_streams(streams))}")
    noise = 0.1 * torch.randn(CUTTINGS_SECONDS * SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
    for name, path in scripts.items() if options.cuttings else ():
        largest = largest_difference(load_stream(path), noise, options.cuttings)
        print(
            f"{name}: {options.cuttings:,} cuttings of {CUTTINGS_SECONDS} s, largest difference in probability {largest:.1e}"
        )
