"""Variety for training: other takes of a waveform, made once as several views of each clip."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kws.data.acoustics import convolve, cut_noise, mix_at_snr, room_responses
from kws.data.audio import SAMPLE_RATE


@dataclass(frozen=True)
class WaveformAugmentation:
    """How far views of a clip differ from it. Each (low, high) is drawn uniformly, each share is of the clips."""

    speed: tuple[float, float] = (0.85, 1.18)
    shift_seconds: tuple[float, float] = (-0.1, 0.1)
    gain_db: tuple[float, float] = (-12.0, 6.0)
    noise_share: float = 0.8
    babble_share: float = 0.25  # of the noises: another clip of the corpus instead of a noise
    snr_db: tuple[float, float] = (-5.0, 30.0)
    room_share: float = 0.3
    rt60_seconds: tuple[float, float] = (0.08, 0.5)
    reverberant_level: tuple[float, float] = (0.2, 0.8)


def augment_waveforms(
    waveforms: Tensor, noises: list[Tensor], babble: Tensor, config: WaveformAugmentation, generator: torch.Generator
) -> Tensor:
    """Another take of each clip: its speed (and pitch), its place in the second, a room, noise and gain.

    Args:
        waveforms: (batch, samples) in [-1, 1].
        noises: int16 or float recordings, each at least as long as a clip.
        babble: (batch, samples) other clips, as noise for some.
        generator: all randomness comes from it.

    Returns:
        (batch, samples); not clipped to [-1, 1].
    """
    batch, samples = waveforms.shape

    def uniform(limits: tuple[float, float]) -> Tensor:
        return torch.empty(batch, 1).uniform_(*limits, generator=generator)

    def happens(share: float) -> Tensor:
        return torch.rand(batch, 1, generator=generator) < share

    x = change_speed_and_shift(waveforms, uniform(config.speed), uniform(config.shift_seconds) * SAMPLE_RATE)
    in_room = happens(config.room_share)[:, 0]
    rt60, level = uniform(config.rt60_seconds)[in_room], uniform(config.reverberant_level)[in_room]
    if in_room.any():  # MKL's FFT fails on an empty batch
        x[in_room] = convolve(x[in_room], room_responses(rt60, level, generator))
    noise = cut_noises(noises, batch, samples, generator)
    noise = torch.where(happens(config.babble_share), babble, noise)
    x = torch.where(happens(config.noise_share), mix_at_snr(x, noise, uniform(config.snr_db)), x)
    return x * 10 ** (uniform(config.gain_db) / 20)


def change_speed_and_shift(waveforms: Tensor, speed: Tensor, shift: Tensor) -> Tensor:
    """Play (batch, samples) at ``speed`` about its middle and move it ``shift`` samples later, both (batch, 1); zeros come in.

    Linear interpolation: cheap, and what it loses in the top octave is variety too.
    """
    samples = waveforms.shape[-1]
    middle = (samples - 1) / 2
    position = (torch.arange(samples) - middle - shift) * speed / middle  # -1 is the first sample, 1 the last
    grid = torch.stack([position, torch.zeros_like(position)], dim=-1)
    return torch.nn.functional.grid_sample(waveforms[:, None, None], grid[:, None], align_corners=True)[:, 0, 0]


def cut_noises(noises: list[Tensor], batch: int, samples: int, generator: torch.Generator) -> Tensor:
    """Random pieces of random noises, (batch, samples)."""

    def draw(n: int) -> int:
        return int(torch.randint(n, (), generator=generator))

    return torch.stack([cut_noise(noises, samples, draw) for _ in range(batch)])
