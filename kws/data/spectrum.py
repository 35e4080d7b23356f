"""The frames of a front end: at which rate sound is sampled, how long a frame is, and how often there is one.

All recordings are at 16 kHz. A front end of 8 kHz hears every other sample of what a low-pass filter leaves, as a device that
samples so would; the filter never looks ahead of a frame's end.
"""

from dataclasses import dataclass
from functools import cache

import torch
import torchaudio
from torch import Tensor, nn

from kws.data.audio import SAMPLE_RATE

TAPS = 32  # of the low-pass filter: -6 dB at 4 kHz, below -40 dB from 5 kHz on
RATES = (SAMPLE_RATE, SAMPLE_RATE // 2)


@dataclass(frozen=True)
class Spectrum:
    """Raises ``ValueError`` for frames that cannot be made.

    Attributes:
        rate: Hz, 16000 or 8000.
        window: samples at that rate (Hann), as many as the points of the Fourier transform.
        hop: samples at 16 kHz from frame to frame.
        merged: mel bands, neighbours, whose mean power is one band for the network.
    """

    rate: int = SAMPLE_RATE
    window: int = 400
    hop: int = 160
    merged: int = 1

    def __post_init__(self) -> None:
        if self.rate not in RATES or self.hop % self.decimation or min(self.window, self.hop, self.merged) < 1:
            raise ValueError(f"no frames can be made so: {self}; the rate is 16000 or 8000, the hop a multiple of 2")

    @property
    def decimation(self) -> int:
        """Of so many samples at 16 kHz one is heard."""
        return SAMPLE_RATE // self.rate

    @property
    def reach(self) -> int:
        """Samples at 16 kHz that a frame hears."""
        return self.decimation * self.window + (TAPS - self.decimation if self.decimation > 1 else 0)

    def frames_in(self, samples: int) -> int:
        """Frames that a waveform of so many samples at 16 kHz gives."""
        return samples // self.hop + 1

    def sampled(self, waveform: Tensor) -> Tensor:
        """(..., samples) at 16 kHz, ``reach`` or more, at the rate: every sample whose filter is full."""
        if self.decimation == 1:
            return waveform
        taps = low_pass().to(waveform.device)
        flat = waveform.reshape(-1, 1, waveform.shape[-1])
        return nn.functional.conv1d(flat, taps, stride=self.decimation).reshape(*waveform.shape[:-1], -1)

    def bands(self, n_mels: int) -> Tensor:
        """(bins, n_mels) weights of the powers in each band for the network."""
        bins, count = self.window // 2 + 1, n_mels * self.merged
        fine = torchaudio.functional.melscale_fbanks(bins, 0.0, self.rate / 2, count, self.rate)
        return fine.unflatten(1, (n_mels, self.merged)).mean(2)


@cache
def low_pass() -> Tensor:
    """(1, 1, taps) of a low pass at a quarter of 16 kHz: a sinc within a Hann window."""
    time = torch.arange(TAPS).double() - (TAPS - 1) / 2
    taps = torch.sinc(time / 2) * torch.hann_window(TAPS + 2, periodic=False).double()[1:-1]
    return (taps / taps.sum()).float()[None, None]
