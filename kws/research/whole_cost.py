"""What a whole detector costs, from raw samples to probability: front end and network, in multiplications and in bytes.

MACs leave out the front end, which costs more than any student. Here it is counted as a careful programmer would write it.
"""

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kws.cost import count_macs_exactly
from kws.data.audio import SAMPLE_RATE
from kws.data.spectrum import Spectrum
from kws.features import front_end_of

FLOAT_BYTES = 4  # of a value of the window and of the mel bands
LOG_MULTIPLICATIONS = 1  # of a band: the rest of a logarithm is a table and shifts
PLACE_BYTES = 2  # of a band: its first bin and how many it has


@dataclass(frozen=True)
class WholeCost:
    """Multiplications for the sound by part, and bytes by part.

    Attributes:
        window: one for each sample of a frame.
        fourier: N log2 N a frame, N being its real samples; 400 here.
        power: two a bin.
        mel: one for each weight that is not zero, so two for a bin that two bands touch.
        log: one a band; its factor also scales what the network takes.
        pooling: one for each mean before the convolutions.
        network: every convolution and matrix product that runs; other element-wise work is left out.
        weight_bytes: the network's values as stored, without a file format around them.
        mel_bytes: the weights that are not zero, float32, and where each band begins and ends.
        window_bytes: float32. The turns of the Fourier transform come from it: of a Hann window w they are 1 - 2 w.
    """

    window: int
    fourier: int
    power: int
    mel: int
    log: int
    pooling: int
    network: int
    weight_bytes: int
    mel_bytes: int
    window_bytes: int

    @property
    def front_end(self) -> int:
        """Multiplications from samples to log-mel."""
        return self.window + self.fourier + self.power + self.mel + self.log

    @property
    def multiplications(self) -> int:
        """All of them, from samples to probability."""
        return self.front_end + self.pooling + self.network

    @property
    def bytes(self) -> int:
        """All that it must hold but for sound, spectra and state."""
        return self.weight_bytes + self.mel_bytes + self.window_bytes


def whole_cost(model: nn.Module, weight_bytes: int, seconds: float = 1.0) -> WholeCost:
    """Count a network and its front end.

    Args:
        model: takes log-mels (batch, n_mels, frames).
        weight_bytes: of its values as stored.
        seconds: of sound, more than 0; ``ValueError`` otherwise.
    """
    network, front_end = count_macs_exactly(model, seconds), front_end_of(model.config)
    spectrum, bands = front_end.spectrum, front_end.n_mels
    frames = spectrum.frames_in(round(seconds * SAMPLE_RATE))
    pooled = pooled_means(model, torch.zeros(1, bands, frames))
    weights = int(torch.count_nonzero(spectrum.bands(bands)))
    stored = (weight_bytes, FLOAT_BYTES * weights + PLACE_BYTES * bands, FLOAT_BYTES * spectrum.window)
    return WholeCost(*front_end_multiplications(spectrum, bands, frames), pooled, network, *stored)


def front_end_multiplications(spectrum: Spectrum, n_mels: int, frames: int) -> list[int]:
    """Of so many frames, by part: window, Fourier transform, power, mel, log.

    A lower rate costs nothing: a device samples so. Merged bands are bands with the sums of their filters' weights.
    """
    # Each frame alone: of N samples, N / 2 + 1 bins and some bands.
    size, weights = spectrum.window, int(torch.count_nonzero(spectrum.bands(n_mels)))
    each = (size, size * math.log2(size), 2 * (size // 2 + 1), weights, LOG_MULTIPLICATIONS * n_mels)
    return [round(frames * multiplications) for multiplications in each]


def pooled_means(model: nn.Module, log_mel: Tensor) -> int:
    """How many means a network's layers of average pooling take of a log-mel (1, n_mels, frames): a multiplication each."""
    counts: list[int] = []
    model = copy.deepcopy(model).cpu().eval()
    for module in model.modules():
        if isinstance(module, nn.AvgPool2d):
            module.register_forward_hook(lambda module, given, means: counts.append(means.numel()))
    with torch.no_grad():
        model(log_mel)
    return sum(counts)
