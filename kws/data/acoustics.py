"""Rooms, noises and levels: what happens to a voice on its way to a microphone. All on batches of waveforms."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kws.data.audio import SAMPLE_RATE, to_float

LEAST_POWER = 1e-10  # of noise that is amplified


def power(waveforms: Tensor) -> Tensor:
    """Mean square of each waveform: (batch, samples) to (batch, 1)."""
    return waveforms.square().mean(-1, keepdim=True)


def mix_at_snr(waveforms: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
    """Add noise (batch, samples) at a signal-to-noise ratio (batch, 1) in dB, over the whole clip's power."""
    return waveforms + noise_gain(power(waveforms), noise, snr_db) * noise


def noise_gain(speech_power: Tensor, noise: Tensor, snr_db: Tensor | float) -> Tensor:
    """Factor (..., 1) that brings noise (..., samples) to ``snr_db`` dB below a power."""
    return (speech_power / power(noise).clamp_min(LEAST_POWER) / 10 ** (snr_db / 10)).sqrt()


def cut_noise(noises: Sequence[Tensor], samples: int, draw: Callable[[int], int]) -> Tensor:
    """A stretch (samples,) float32 of a random noise from a random place; a shorter noise is repeated.

    ``draw(n)`` gives a random integer from 0 to n - 1.
    """
    noise = noises[draw(len(noises))]
    if len(noise) < samples:
        noise = noise.repeat(-(-(samples - 1) // len(noise)) + 1)
    start = draw(len(noise) - samples + 1)
    return to_float(noise[start : start + samples])


def room_responses(
    rt60: Tensor, reverberant_level: Tensor, generator: torch.Generator, seconds: float = 0.25
) -> Tensor:
    """Impulse responses (batch, taps): a direct path of 1 and a tail of noise that decays by 60 dB in ``rt60`` seconds.

    The tail's energy is ``reverberant_level`` squared: the model of Polack (1988) for late reverberation.
    rt60 and reverberant_level are (batch, 1).
    """
    time = torch.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    decay = torch.exp(-torch.log(torch.tensor(1000.0)) * time / rt60)
    tail = torch.randn(decay.shape, generator=generator) * decay
    response = reverberant_level * tail / tail.norm(dim=-1, keepdim=True)
    response[:, 0] += 1
    return response


def convolve(waveforms: Tensor, responses: Tensor) -> Tensor:
    """Each waveform (batch, samples) in its room (batch, taps), cut to the waveform's length."""
    samples = waveforms.shape[-1]
    size = samples + responses.shape[-1] - 1
    size += -size % 512  # a length with small factors, for a fast FFT
    spectrum = torch.fft.rfft(waveforms, size) * torch.fft.rfft(responses, size)
    return torch.fft.irfft(spectrum, size)[..., :samples]


def coloured_noise(samples: int, exponent: float, generator: torch.Generator) -> Tensor:
    """Noise (samples,) of power spectrum 1 / f^exponent and RMS 0.1: 0 is white, 1 pink, 2 brown."""
    spectrum = torch.fft.rfft(torch.randn(samples, generator=generator))
    frequency = torch.arange(len(spectrum)).clamp_min(1)
    noise = torch.fft.irfft(spectrum / frequency ** (exponent / 2), samples)
    return 0.1 * noise / power(noise).sqrt()
