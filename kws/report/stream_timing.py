"""What a second of sound costs a streaming model, everything included, by runtime; and how equal cuttings are.

``python -m kws.report.stream_timing STREAM [STREAM ...]`` takes TorchScript (.pt) and ONNX (.onnx) files. All take turns in every round of one run, on one
thread, and medians are given. ``--cuttings N`` also compares N random cuttings of noise with the whole of it.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tabulate import tabulate
from tqdm import tqdm

from kws.data.audio import SAMPLE_RATE
from kws.data.storage import CheckpointError
from kws.streaming import largest_difference, load_stream
from kws.streaming.onnx_stream import OnnxStream

CHUNKS = (0.02, 0.08, 1.0)  # seconds of sound in a call


def open_stream(path: str | Path) -> Callable[[np.ndarray], object]:
    """A TorchScript or ONNX stream that takes NumPy chunks."""
    if Path(path).suffix == ".onnx":
        return OnnxStream(path)
    model = load_stream(path)
    return lambda chunk: model(torch.from_numpy(chunk))


@torch.inference_mode()
def measure(streams: dict[str, Callable], rounds: int = 40, seconds: int = 2) -> dict[tuple[str, float], float]:
    """Median milliseconds for a second of sound, by name and seconds a chunk, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    noise = (0.1 * np.random.default_rng(0).standard_normal(seconds * SAMPLE_RATE)).astype(np.float32)
    times: dict[tuple[str, float], list[float]] = {(name, chunk): [] for name in streams for chunk in CHUNKS}
    try:
        for turn in tqdm(range(rounds + 3), "taking turns", unit="round"):
            for (name, chunk), values in times.items():
                chunks = np.split(noise, range(int(chunk * SAMPLE_RATE), len(noise), int(chunk * SAMPLE_RATE)))
                begun = time.perf_counter()
                for part in chunks:
                    streams[name](part)
                if turn >= 3:  # TorchScript compiles in its first calls
                    values.append((time.perf_counter() - begun) / seconds)
    finally:
        torch.set_num_threads(threads)
    return {case: float(np.median(values)) * 1e3 for case, values in times.items()}


def table(costs: dict[tuple[str, float], float]) -> str:
    """Milliseconds for a second of sound, a line a stream."""
    names = dict.fromkeys(name for name, _ in costs)
    rows = [[name, *(f"{costs[name, chunk]:.2f}" for chunk in CHUNKS)] for name in names]
    return tabulate(
        rows,
        ["ms for 1 s of sound, 1 thread", *(f"chunks of {chunk * 1e3:.0f} ms" for chunk in CHUNKS)],
        disable_numparse=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of streaming models for a second of sound.")
    parser.add_argument("streams", nargs="+", help="TorchScript (.pt) or ONNX (.onnx) streams")
    parser.add_argument("--cuttings", type=int, default=0, help="also compare so many random cuttings with the whole")
    arguments = parser.parse_args()
    try:
        streams = {path: open_stream(path) for path in arguments.streams}
        print(table(measure(streams)))
        for path in arguments.streams:
            if arguments.cuttings and Path(path).suffix != ".onnx":
                noise = 0.1 * torch.randn(5 * SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
                largest = largest_difference(load_stream(path), noise, arguments.cuttings)
                print(
                    f"{path}: {arguments.cuttings:,} cuttings of 5 s, largest difference in probability {largest:.1e}"
                )
    except (CheckpointError, FileNotFoundError) as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
