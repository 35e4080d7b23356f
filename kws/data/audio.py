"""Reading a sound file of any rate and channel count as 16 kHz mono, as a whole or in blocks."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor

from kws.data.storage import check_file
from kws.data.wav import PlainWav, WavSamples, wav_samples

SAMPLE_RATE = 16_000
LOWEST_RATE, HIGHEST_RATE = 1_000, 1_000_000  # samples a second that a header may claim
BLOCK_SECONDS = 2.0  # of a file, read at a time
BLOCK_SAMPLES = 1 << 20  # of all channels together, at most
LOUDEST = 1e6  # samples beyond are bounded: their sum would not be a number
UNKNOWN = 1 << 40  # frames: libsndfile says more where a header does not know


class AudioError(ValueError):
    """A sound file that cannot be used; the message names it and says why."""


class CutOffError(AudioError):
    """A sound file that holds less than its header says."""


class ForwardSound(soundfile.SoundFile):
    """Reads on and never asks where it is: a FLAC of unknown length cannot answer."""

    def seekable(self) -> bool:
        return False


@contextmanager
def open_sound(path: str | Path) -> Iterator[tuple[soundfile.SoundFile, WavSamples | None]]:
    """A sound file to be read onwards, and what the header of a WAV file says; one that does not know its length is read to its end.

    ``check_file`` comes first. Raises whatever libsndfile has for a file that is no sound.
    """
    with open(path, "rb", buffering=0) as file:
        wav = wav_samples(file)
        file.seek(0)
        plain = wav is not None and (wav.promised is None or wav.kind == b"RF64")
        with ForwardSound(PlainWav(file, wav) if plain else file.fileno(), closefd=False) as sound:
            yield sound, wav


def read_audio(path: str | Path) -> Tensor:
    """Waveform (samples,) float32 in [-1, 1] at 16 kHz from wav, flac, ogg, opus or mp3.

    Channels are averaged and other sample rates resampled. Of a wav that was cut off, what there is is read. Raises
    ``AudioError`` for a file that is missing, empty, damaged or not audio, that holds NaN or infinite samples, or whose
    header claims less than 1,000 or more than 1,000,000 samples a second.
    """
    blocks = []
    with suppress(CutOffError):
        for block in file_blocks(path):
            blocks.append(block)
    try:
        waveform = torch.from_numpy(np.concatenate(blocks)).clamp_(-1, 1)
    except MemoryError as error:
        raise AudioError(f"{path}: does not fit into memory, cut it into parts") from error
    return fit_to_length(waveform, max(1, len(waveform)))  # of a sample or two at a high rate nothing is left


def file_blocks(path: str | Path) -> Iterator[np.ndarray]:
    """A sound file in blocks (samples,) float32 at 16 kHz mono, never held in memory as a whole.

    Raises ``AudioError`` as ``read_audio`` does, and ``CutOffError`` after the last block of a file that holds less than its header says.
    """
    path = Path(path)
    try:
        check_file(path, "sound file")
    except OSError as error:
        raise AudioError(str(error)) from error
    try:
        with open_sound(path) as (sound, wav):
            yield from _blocks(sound, path, wav)
    except AudioError:
        raise
    except Exception as error:  # whatever it is, it is this file's: the others can still be used
        reason = getattr(error, "error_string", str(error)) or type(error).__name__
        raise AudioError(f"{path}: not a readable sound file, replace or remove it ({reason})") from error


def _blocks(sound: soundfile.SoundFile, path: Path, wav: WavSamples | None) -> Iterator[np.ndarray]:
    rate, read = sound.samplerate, 0
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise AudioError(
            f"{path}: its header says {rate:,} samples a second; from {LOWEST_RATE:,} to {HIGHEST_RATE:,} can be read"
        )
    size = max(1, min(int(BLOCK_SECONDS * rate), BLOCK_SAMPLES // sound.channels))

    def mono() -> Iterator[np.ndarray]:
        nonlocal read
        while True:
            try:
                block = sound.read(size, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise AudioError(
                    f"{path}: damaged or cut off after {read / rate:.1f} s ({error.error_string})"
                ) from error
            if not np.isfinite(block).all():
                raise AudioError(
                    f"{path}: holds NaN or infinite samples after {read / rate:.1f} s, replace or remove it"
                )
            read += len(block)
            if len(block):
                yield block.clip(-LOUDEST, LOUDEST).mean(1)
            if len(block) < size:
                return

    yield from resampled(mono(), rate)
    # What was read is what there is; was there to be more?
    if read == 0:
        raise AudioError(f"{path}: holds no samples, replace or remove it")
    if wav is not None:
        promised = read * wav.promised / wav.held if wav.cut_off else read
    else:
        promised = sound.frames if sound.frames < UNKNOWN else read
    if read < promised:
        raise CutOffError(f"{path}: cut off: it holds {read / rate:.1f} s of the {promised / rate:.1f} s that it says")


def resampled(blocks: Iterable[np.ndarray], rate: float) -> Iterator[np.ndarray]:
    """Blocks (samples,) float32 of any sample rate at 16 kHz, by a resampler that remembers: where they are cut does not matter."""
    if rate == SAMPLE_RATE:
        yield from blocks
        return
    resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
    for block in blocks:
        yield resampler.resample_chunk(np.ascontiguousarray(block, dtype=np.float32))
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def fit_to_length(waveform: Tensor, samples: int) -> Tensor:
    """Bring (..., any) to (..., samples): a shorter one gets zeros, a longer one is cropped, on both ends alike.

    Where the difference is odd, the end gets or loses one sample more than the beginning.
    """
    missing = samples - waveform.shape[-1]
    before = abs(missing) // 2
    if missing >= 0:
        return torch.nn.functional.pad(waveform, (before, missing - before))
    return waveform[..., before : before + samples]


def to_int16(waveform: Tensor) -> Tensor:
    """Float samples in [-1, 1] as int16, the inverse of ``to_float`` for samples that came from 16-bit files."""
    return (waveform * 32768).round().clamp(-32768, 32767).to(torch.int16)


def to_float(waveform: Tensor) -> Tensor:
    """int16 samples as float32 in [-1, 1); a float waveform passes through as float32."""
    return waveform.float() / 32768 if waveform.dtype == torch.int16 else waveform.float()
