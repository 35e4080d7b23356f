"""The front end: waveforms to log-mel spectrograms, framed causally.

A frame never looks ahead. The waveform is padded with one window of zeros on its left only, so that frame ``k``
covers the samples ``[160 k - 400, 160 k)``: one second gives 101 frames, and frame ``k`` is known as soon as sample
``160 k - 1`` has arrived. A stream that starts with a silent past therefore produces the very same frames; the usual
centred framing would need samples from the future and mirror the clip at its end.
"""

from functools import cache
from typing import Any

import torch
import torchaudio
from torch import Tensor, nn

from kws.data.audio import to_float
from kws.data.jobs import one_thread
from kws.data.spectrum import Spectrum

USUAL = Spectrum()
WINDOW, HOP = USUAL.window, USUAL.hop  # 25 and 10 ms
N_MELS = 40
LOWEST_POWER, HIGHEST_POWER = 1e-9, 1e9
BATCH = 64  # clips transformed at a time: the spectra stay in the processor's cache, four times as fast as 512


def frames_in(samples: int) -> int:
    """Frames that a waveform of so many samples gives: 101 for a second."""
    return USUAL.frames_in(samples)


class LogMel(nn.Module):
    """``log(clamp(mel power spectrogram, 1e-9, 1e9))``, window 400 (Hann), hop 160 samples, natural logarithm.

    Input: waveform (..., samples) in [-1, 1] at 16 kHz. Output: (..., n_mels, samples // 160 + 1), between -20.8 and 20.8.
    It is ``torchaudio.transforms.MelSpectrogram(center=False)`` of the waveform with 400 zeros on its left; another
    ``spectrum`` has other frames.
    """

    def __init__(self, n_mels: int = N_MELS, spectrum: Spectrum = USUAL):
        super().__init__()
        self.n_mels, self.spectrum = n_mels, spectrum
        hop, bands = spectrum.hop // spectrum.decimation, n_mels * spectrum.merged
        self.mel = torchaudio.transforms.MelSpectrogram(
            spectrum.rate, spectrum.window, hop_length=hop, n_mels=bands, center=False
        )

    def forward(self, waveform: Tensor) -> Tensor:
        # Zeros on the left only: no frame hears what comes after it.
        padded = nn.functional.pad(waveform, (self.spectrum.reach, 0))  # (..., 400 + samples)
        # Power of each band (..., n_mels, frames), bounded so that silence has a logarithm.
        power = self.mel(self.spectrum.sampled(padded)).unflatten(-2, (self.n_mels, -1)).mean(-2)
        return power.clamp(LOWEST_POWER, HIGHEST_POWER).log()


@one_thread()
def log_mels(waveforms: Tensor, front_end: LogMel | None = None) -> Tensor:
    """Log-mels (clips, n_mels, frames) float32 of int16 or float waveforms (clips, samples), a few clips at a time."""
    # A few clips at a time, so that the spectra stay in the cache.
    front_end = front_end or LogMel()
    result = torch.empty(len(waveforms), front_end.n_mels, front_end.spectrum.frames_in(waveforms.shape[-1]))
    for start in range(0, len(waveforms), BATCH):
        result[start : start + BATCH] = front_end(to_float(waveforms[start : start + BATCH]))
    return result


@cache
def front_end_of(config: Any) -> LogMel:
    """What a network of this config hears a waveform through."""
    return LogMel(config.n_mels, getattr(config, "spectrum", USUAL))
