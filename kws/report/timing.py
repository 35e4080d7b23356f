"""How long a model takes for a second of sound, by runtime: eager PyTorch, TorchScript and ONNX Runtime, on one thread.

``kws time MODEL.pt [MODEL.pt ...]`` prints a table. All models and runtimes take turns in every round of one run, and
the medians are given, so that a busy machine slows all alike.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from tabulate import tabulate
from torch import nn
from tqdm import tqdm

from kws.checkpoint import load_model
from kws.features import LogMel
from kws.report.export import WithFrontEnd, example, to_onnx, to_torchscript

RUNTIMES = ("eager", "eager float16", "TorchScript", "ONNX Runtime")


@dataclass(frozen=True)
class Latency:
    """Median milliseconds for one call with a batch of one-second clips."""

    model: str
    runtime: str
    batch: int
    front_end: bool
    milliseconds: float


def measure(models: dict[str, nn.Module], batches: Sequence[int] = (1, 256), seconds: float = 60) -> list[Latency]:
    """Time every model in every runtime, with and without the front end, taking turns for about so many seconds.

    float16 is measured without the front end: its spectrum needs float32.
    """
    cases: dict[tuple[str, str, int, bool], Callable[[], object]] = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for batch in batches:
            for front_end in (False, True):
                for name, model in models.items():
                    for runtime in RUNTIMES:
                        if not (front_end and runtime == "eager float16"):
                            cases[name, runtime, batch, front_end] = _case(model, runtime, batch, front_end)
        times = _take_turns(cases, seconds)
    finally:
        torch.set_num_threads(threads)
    return [Latency(*case, float(np.median(values)) * 1e3) for case, values in times.items()]


def _case(model: nn.Module, runtime: str, batch: int, front_end: bool) -> Callable[[], object]:
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
        run = WithFrontEnd(LogMel(model.config.n_mels), model).eval() if front_end else model
    return lambda: run(sound)


def _half(model: nn.Module) -> nn.Module:
    copy = type(model)(model.config)
    copy.load_state_dict(model.state_dict())
    return copy.half().eval()


@torch.inference_mode()
def _take_turns(cases: dict, seconds: float) -> dict[tuple, list[float]]:
    for run in cases.values():
        for _ in range(3):
            run()  # TorchScript compiles in its first calls
    times: dict[tuple, list[float]] = {case: [] for case in cases}
    started = time.perf_counter()
    with tqdm(desc="taking turns", unit="round") as bar:
        while time.perf_counter() - started < seconds or len(next(iter(times.values()))) < 3:
            for case, run in cases.items():
                for _ in range(5 if case[2] == 1 else 1):
                    begun = time.perf_counter()
                    run()
                    times[case].append(time.perf_counter() - begun)
            bar.update()
    return times


def table(latencies: Sequence[Latency], batch: int, front_end: bool) -> str:
    """Milliseconds by model and runtime; in brackets how many times as fast as the first model in the same runtime."""
    chosen = {(t.model, t.runtime): t.milliseconds for t in latencies if (t.batch, t.front_end) == (batch, front_end)}
    models = list(dict.fromkeys(model for model, _ in chosen))
    runtimes = [runtime for runtime in RUNTIMES if (models[0], runtime) in chosen]
    rows = [[m, *(f"{chosen[m, r]:.3f} ({chosen[models[0], r] / chosen[m, r]:.1f})" for r in runtimes)] for m in models]
    return tabulate(rows, ["ms (times as fast)", *runtimes], disable_numparse=True)


def main(arguments: list[str] | None = None, prog: str = "kws time") -> None:
    """The command line. Raises ``CheckpointError`` and ``FileNotFoundError``."""
    parser = argparse.ArgumentParser(prog=prog, description="Latency of models on one thread, by runtime.")
    parser.add_argument("models", nargs="+", help="checkpoints; the first is the one that others are compared with")
    parser.add_argument("--seconds", type=float, default=60, help="how long to measure")
    options = parser.parse_args(arguments)
    latencies = measure({Path(path).stem: load_model(path) for path in options.models}, seconds=options.seconds)
    for batch in (1, 256):
        for front_end in (False, True):
            print(f"\n{batch} clip(s) of 1 s in a call, 1 thread, {'with' if front_end else 'without'} the front end")
            print(table(latencies, batch, front_end))
