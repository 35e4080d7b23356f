"""``kws listen MODEL [FILE]``: print each detection of a streaming model in a sound file, standard input or the microphone.

MODEL is a word that ``kws train`` made a detector of, or a ``streaming_<name>.pt``, or any checkpoint of a CRNN, which is then asked about every last second. FILE is a sound file of any
length, rate and number of channels; ``-`` is raw 16-bit little-endian mono PCM from standard input; without FILE the microphone is
heard (needs the package sounddevice). One line a detection: the time in seconds, the probability, the keyword.
"""

import argparse
import math
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from kws.data.audio import HIGHEST_RATE, LOWEST_RATE, SAMPLE_RATE, AudioError, file_blocks, resampled
from kws.streaming.detection import HOLD_OFF, Detection, Detector
from kws.streaming.microphone import list_microphones, microphone_blocks
from kws.streaming.model import StreamingModel, load_stream

BLOCK_SECONDS = 0.2  # of standard input: how often it is asked
TAIL_SECONDS = 0.5  # of silence after a sound that ends
BAR = 20  # characters, at most
TEXT = 50  # characters of the live line besides its two bars
RAW = (".raw", ".pcm", ".s16")  # names of files that are samples and nothing else


def main(arguments: list[str] | None = None, prog: str = "kws listen") -> None:
    """The command line. Raises ``AudioError``, ``CheckpointError``, ``OSError`` and ``ValueError``."""
    parser = argparse.ArgumentParser(prog=prog, description="Print each detection of a keyword.")
    parser.add_argument(
        "model", nargs="?", help="a word of kws train, weights/<keyword>/streaming_<name>.pt, or a checkpoint"
    )
    parser.add_argument("file", nargs="?", help="a sound file, or - for raw 16-bit mono PCM; left out: the microphone")
    parser.add_argument("--rate", type=int, default=SAMPLE_RATE, help="samples a second of raw PCM (default: 16000)")
    parser.add_argument("--threshold", type=float, help="probability to report from (default: the model's own)")
    parser.add_argument("--smoothing", type=int, help="steps whose mean probability counts (default: the model's own)")
    parser.add_argument(
        "--hold-off", type=float, default=HOLD_OFF, help="seconds without another detection (default: 1)"
    )
    parser.add_argument("--device", help="microphone: its number or a part of its name (default: the system's own)")
    parser.add_argument("--list-devices", action="store_true", help="show the microphones and end")
    options = parser.parse_intermixed_args(arguments)
    if options.list_devices:
        print("\n".join(list_microphones()) or "no microphone was found")
        return
    if options.model is None:
        parser.error("the following arguments are required: model")
    # Open the model and what it is to hear.
    torch.set_num_threads(1)
    model = load_stream(file_of(options.model))
    if isinstance(model, StreamingModel):
        print(
            f"note: {options.model} is a checkpoint, asked about every last second; one that was trained on clips is often wrong in a stream",
            file=sys.stderr,
        )
    detector = Detector(
        model.threshold if options.threshold is None else options.threshold,
        model.smoothing if options.smoothing is None else options.smoothing,
        model.step_samples,
        model.first_sample,
        options.hold_off,
    )
    # Print what is detected, as it comes.
    nothing = True
    for detection in listen(model, _source(options), detector, live=sys.stderr.isatty()):
        print(f"{detection.seconds:9.2f} s  {detection.probability:.3f}  {model.keyword}", flush=True)
        nothing = False
    if nothing:
        print(f"heard no {model.keyword!r}", file=sys.stderr)


def file_of(model: str, weights: Path = Path("weights")) -> Path:
    """The base of a word of ``kws train``, or of the committed ones; a path stays what it is."""
    word = re.sub(r"[^a-z0-9]+", "_", model.lower()).strip("_")
    if word and Path(model).name == model and not Path(model).suffix and not os.path.exists(model):
        for name in (f"synthetic-{word}", word):
            if (found := weights / name / "streaming_base.pt").is_file():
                return found
    return Path(model)


@torch.inference_mode()
def listen(model, blocks: Iterator[np.ndarray], detector: Detector, live: bool = False) -> Iterator[Detection]:
    """Detections in blocks (samples,) float32 at 16 kHz, as they come; ``live`` keeps a line of level and probability on standard error."""
    heard = 0
    try:
        for block in blocks:
            probabilities = model(torch.from_numpy(block)).numpy()
            heard += len(block)
            found = detector(probabilities)
            if live:
                _show("" if found else live_line(heard, block, probabilities, _columns()))
            yield from found
    finally:
        if live:
            _show("")


def live_line(heard: int, block: np.ndarray, probabilities: np.ndarray, columns: int) -> str:
    """Seconds heard, level and highest probability of a block, in less than so many columns."""
    power = float(np.square(block).mean()) if len(block) else 0.0
    level = 10 * math.log10(power + 1e-10)
    sure = float(probabilities.max()) if len(probabilities) else 0.0
    bar = min(max((columns - TEXT) // 2, 0), BAR)
    loud = round(bar * min(max((level + 60) / 60, 0), 1))
    line = (
        f"{heard / SAMPLE_RATE:9.1f} s  level {'#' * loud:<{bar}} {level:6.1f} dB"
        f"  probability {'#' * round(bar * sure):<{bar}} {sure:.3f}"
    )
    return line[: max(columns - 1, 0)]  # a line that reaches the last column would be a row for good


def _show(line: str) -> None:
    print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def _columns() -> int:
    """Of the terminal on standard error, unless the variable COLUMNS says otherwise."""
    columns = 0
    with suppress(OSError, ValueError):
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    return shutil.get_terminal_size((columns or 80, 24)).columns


def _source(options: argparse.Namespace) -> Iterator[np.ndarray]:
    if not LOWEST_RATE <= options.rate <= HIGHEST_RATE:
        raise ValueError(f"--rate is {options.rate}; it must be a number of samples a second, from 1000 to a million")
    if options.rate != SAMPLE_RATE and options.file != "-":
        raise ValueError("--rate is for raw PCM from standard input; a sound file or a microphone tells its own")
    if options.file is None:
        return microphone_blocks(options.device)
    if options.device is not None:
        raise ValueError("--device is for the microphone, which is heard if no FILE is named")
    if options.file == "-":
        if sys.stdin is None:
            raise ValueError("standard input is closed; give it samples, or name a FILE")
        return with_silence(resampled(raw_blocks(sys.stdin.buffer, options.rate), options.rate))
    if Path(options.file).suffix.lower() in RAW:
        raise ValueError(
            f"{options.file}: raw samples are read from standard input: give - as FILE and < {options.file}"
        )
    return with_silence(file_blocks(options.file))


def with_silence(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The blocks of a sound, and half a second of silence: a word is detected up to so long after its end, which may be the sound's."""
    yield from blocks
    yield np.zeros(int(TAIL_SECONDS * SAMPLE_RATE), np.float32)


def raw_blocks(stream, rate: int) -> Iterator[np.ndarray]:
    """16-bit little-endian PCM of a binary stream as float32, as it comes; half a sample at the end is dropped."""
    size = 2 * max(1, int(BLOCK_SECONDS * rate))
    rest = b""
    begun = False
    while data := stream.read1(size):
        if not begun and data.startswith((b"RIFF", b"fLaC", b"OggS")):
            raise AudioError("standard input is a sound file, not raw samples: name the file instead of -")
        begun = True
        data = rest + data
        whole = len(data) // 2 * 2
        rest = data[whole:]
        if whole:
            yield np.frombuffer(data[:whole], "<i2").astype(np.float32) / 32768
