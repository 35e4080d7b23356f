"""Reading a sound file of any rate and channel count as 16 kHz mono."""

from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio
from torch import Tensor

SAMPLE_RATE = 16_000


class AudioError(ValueError):
    """A sound file that cannot be used; the message names it and says why."""


def read_audio(path: str | Path) -> Tensor:
    """Waveform (samples,) float32 in [-1, 1] at 16 kHz from wav, flac, ogg or opus.

    Channels are averaged and other sample rates resampled. Raises ``AudioError`` for a file that is missing, empty,
    truncated so that nothing can be read, not audio, or that holds NaN or infinite samples.
    """
    path = Path(path)
    if not path.is_file():
        raise AudioError(f"{path}: there is no such sound file")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(f"{path}: not a readable sound file, replace or remove it ({error})") from error
    if len(samples) == 0:
        raise AudioError(f"{path}: holds no samples, replace or remove it")
    if not np.isfinite(samples).all():
        raise AudioError(f"{path}: holds NaN or infinite samples, replace or remove it")
    waveform = torch.from_numpy(samples.mean(1))
    if rate != SAMPLE_RATE:
        waveform = torchaudio.functional.resample(waveform, rate, SAMPLE_RATE)
    return waveform.clamp(-1, 1)


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
