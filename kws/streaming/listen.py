"""``kws listen MODEL [FILE]``: print each detection of a streaming model in a sound file, standard input or the microphone.

MODEL is a ``streaming_<name>.pt``, or any checkpoint of a CRNN, which is then asked about every last second. FILE is a sound file of any
length, rate and number of channels; ``-`` is raw 16-bit little-endian mono PCM from standard input; without FILE the microphone is
heard (needs the package sounddevice). One line a detection: the time in seconds, the probability, the keyword.
"""

import argparse
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch

from kws.data.audio import SAMPLE_RATE, AudioError
from kws.streaming.detection import HOLD_OFF, Detection, Detector
from kws.streaming.model import StreamingModel, load_stream

BLOCK_SECONDS = 0.2  # of a live source: how often it is asked
FILE_BLOCK_SECONDS = 2.0
BAR = 20


def main(arguments: list[str] | None = None, prog: str = "kws listen") -> None:
    """The command line. Raises ``AudioError``, ``CheckpointError``, ``OSError`` and ``ValueError``."""
    parser = argparse.ArgumentParser(prog=prog, description="Print each detection of a keyword.")
    parser.add_argument("model", help="weights/<keyword>/streaming_<name>.pt, or a checkpoint")
    parser.add_argument("file", nargs="?", help="a sound file, or - for raw 16-bit mono PCM; left out: the microphone")
    parser.add_argument("--rate", type=int, default=SAMPLE_RATE, help="samples a second of raw PCM (default: 16000)")
    parser.add_argument("--threshold", type=float, help="probability to report from (default: the model's own)")
    parser.add_argument("--smoothing", type=int, help="steps whose mean probability counts (default: the model's own)")
    parser.add_argument(
        "--hold-off", type=float, default=HOLD_OFF, help="seconds without another detection (default: 1)"
    )
    options = parser.parse_intermixed_args(arguments)
    torch.set_num_threads(1)
    model = load_stream(options.model)
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
    for detection in listen(model, _source(options), detector, live=sys.stderr.isatty()):
        print(f"{detection.seconds:9.2f} s  {detection.probability:.3f}  {model.keyword}", flush=True)


@torch.inference_mode()
def listen(model, blocks: Iterator[np.ndarray], detector: Detector, live: bool = False) -> Iterator[Detection]:
    """Detections in blocks (samples,) float32 at 16 kHz, as they come; ``live`` keeps a line of level and probability on standard error."""
    heard = 0
    for block in blocks:
        probabilities = model(torch.from_numpy(block)).numpy()
        heard += len(block)
        found = detector(probabilities)
        if live:
            if found:
                print("\r\033[K", end="", file=sys.stderr, flush=True)
            else:
                _show(heard, block, probabilities)
        yield from found
    if live:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _show(heard: int, block: np.ndarray, probabilities: np.ndarray) -> None:
    power = float(np.square(block).mean()) if len(block) else 0.0
    level = 10 * math.log10(power + 1e-10)
    loud = round(BAR * min(max((level + 60) / 60, 0), 1))
    sure = float(probabilities.max()) if len(probabilities) else 0.0
    print(
        f"\r\033[K{heard / SAMPLE_RATE:9.1f} s  level {'#' * loud:<{BAR}} {level:6.1f} dB"
        f"  probability {'#' * round(BAR * sure):<{BAR}} {sure:.3f}",
        end="",
        file=sys.stderr,
        flush=True,
    )


def _source(options: argparse.Namespace) -> Iterator[np.ndarray]:
    if not 1_000 <= options.rate <= 1_000_000:
        raise ValueError(f"--rate is {options.rate}; it must be a number of samples a second, from 1000 to a million")
    if options.rate != SAMPLE_RATE and options.file != "-":
        raise ValueError("--rate is for raw PCM from standard input; a sound file tells its own")
    if options.file == "-":
        if sys.stdin is None:
            raise ValueError("standard input is closed; give it samples, or name a FILE")
        return resampled(raw_blocks(sys.stdin.buffer, options.rate), options.rate)
    if options.file is None:
        return _microphone()
    return file_blocks(options.file)


def file_blocks(path: str | Path) -> Iterator[np.ndarray]:
    """A sound file in blocks (samples,) float32 at 16 kHz mono, never held in memory as a whole.

    Raises ``AudioError`` for one that is missing or no sound, that holds NaN, or, after its last whole block, that is cut off.
    """
    path = Path(path)
    if not path.is_file():
        raise AudioError(f"{path}: there is no such sound file")
    try:
        with soundfile.SoundFile(path) as sound:
            yield from resampled(_read(sound, path), sound.samplerate)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: raw samples, by the file's name
        raise AudioError(
            f"{path}: not a readable sound file; raw samples are read from standard input ({error})"
        ) from error


def _read(sound: soundfile.SoundFile, path: Path) -> Iterator[np.ndarray]:
    size, read = max(1, int(FILE_BLOCK_SECONDS * sound.samplerate)), 0
    while True:
        try:
            block = sound.read(size, dtype="float32", always_2d=True).mean(1)
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{path}: damaged or cut off after {read / sound.samplerate:.1f} s ({error})") from error
        if not np.isfinite(block).all():
            raise AudioError(f"{path}: holds NaN or infinite samples after {read / sound.samplerate:.1f} s")
        read += len(block)
        if len(block):
            yield block
        if len(block) < size:
            break
    if read == 0:
        raise AudioError(f"{path}: holds no samples")
    promised = _frames_promised(sound, path)
    if read < promised:
        raise AudioError(
            f"{path}: cut off: it holds {read / sound.samplerate:.1f} s of the {promised / sound.samplerate:.1f} s that it says"
        )


def _frames_promised(sound: soundfile.SoundFile, path: Path) -> int:
    """What the file's header says; libsndfile itself shortens the number of a wav that was cut off."""
    if sound.format == "WAV" and sound.subtype.startswith(("PCM", "FLOAT", "DOUBLE")):
        with open(path, "rb") as file:
            head = file.read(1 << 16)
        place = head.find(b"data", 12)
        size = int.from_bytes(head[place + 4 : place + 8], "little") if place > 0 else 0
        width = {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}.get(sound.subtype, 0)
        if width and size < 0xFFFFFF00:  # larger: written to a pipe, of unknown length
            return size // (width * sound.channels)
    return min(sound.frames, 1 << 40)


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


def resampled(blocks: Iterator[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """Blocks of any sample rate at 16 kHz, by a resampler that remembers: where the blocks are cut does not matter."""
    if rate == SAMPLE_RATE:
        yield from blocks
        return
    resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
    for block in blocks:
        yield resampler.resample_chunk(np.ascontiguousarray(block.clip(-1e6, 1e6), dtype=np.float32))
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _microphone() -> Iterator[np.ndarray]:
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the package is there, the library PortAudio is not
        raise ValueError(
            f"the microphone needs the package sounddevice and the library PortAudio ({error}): pip install sounddevice"
            " (on Debian also: apt install libportaudio2), or name a FILE, or - for standard input"
        ) from error
    try:
        with sounddevice.InputStream(samplerate=SAMPLE_RATE, channels=1, dtype="float32") as microphone:
            while True:
                block, _ = microphone.read(int(BLOCK_SECONDS * SAMPLE_RATE))
                yield block[:, 0].copy()
    except sounddevice.PortAudioError as error:
        raise ValueError(f"the microphone cannot be opened ({error}); name a FILE, or - for standard input") from error
