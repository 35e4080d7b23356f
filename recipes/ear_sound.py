"""Noisy speech for the ear, made in batches on whatever device there is: voices, rooms, noises, microphones, and the clean speech behind them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kws.data.audio import SAMPLE_RATE, read_audio, to_int16
from kws.data.jobs import in_order
from kws.features import HOP
from kws.scenes.recorded import sound_files

SAMPLES = int(3.5 * SAMPLE_RATE)
SIZE = 1 << 16  # of the FFT: a scene and the echo of a room
ECHO = SIZE - SAMPLES
SPEED = (0.85, 1.18)  # of a voice, with its pitch and its formants
NOISE_SPEED = (0.6, 1.6)
SPEECH_LEVEL = 0.08  # root mean square of clean speech where it is not silent: what the embedding is asked about
SILENT = 1e-3  # of the power of the loudest hundredth of a second
SNR_DB = (-3.0, 30.0)
LEVEL_DB = (-45.0, -12.0)  # of the scene, of full scale
SHAPE_DB, MICROPHONE_DB = 12.0, 6.0  # at each of eight octaves
RT60, ECHO_LEVEL = (0.08, 0.6), (0.2, 1.0)
SHARES = {"room": 0.35, "noise": 0.85, "shaped": 0.7, "swelling": 0.3, "narrow": 0.15, "microphone": 0.6}
MADE_UP, BABBLE = 0.25, 0.3  # of the noises; the rest are recorded


class Mixed(NamedTuple):
    """heard, clean: (batch, samples) float32, the same speech as a microphone hears it and as it was said, at one level."""

    heard: Tensor
    clean: Tensor


def sounds_below(folder: str | Path, pause: float = 0.15) -> Tensor:
    """All sound files below a folder, one after another with a pause (seconds) between them: (samples,) int16."""
    gap = np.zeros(int(pause * SAMPLE_RATE), np.int16)

    def read(path: Path) -> np.ndarray:
        return np.concatenate([to_int16(read_audio(path)).numpy(), gap])

    files = sound_files(folder)
    return torch.from_numpy(np.concatenate(list(in_order(read, files, f"reading {folder}", "file"))))


class Mixer:
    """``mixer(count, seed)``: scenes of a pool of speech (samples,) int16 in noise of another, the same for the same seed and device."""

    def __init__(self, speech: Tensor, noise: Tensor):
        self.speech, self.noise, self.device = speech, noise, speech.device
        # How much each of eight octaves from 64 Hz on counts for each bin of the spectrum.
        bins = np.arange(SIZE // 2 + 1) / SIZE * SAMPLE_RATE
        place = np.clip(np.log2(np.maximum(bins, 1)) - 6, 0, 7)
        weights = np.stack([np.maximum(0, 1 - np.abs(place - octave)) for octave in range(8)])
        self.octaves = torch.tensor(weights, dtype=torch.float32, device=self.device)
        self.hz = torch.tensor(bins, dtype=torch.float32, device=self.device)

    def __call__(self, count: int, seed: int) -> Mixed:
        self.generator = torch.Generator(self.device).manual_seed(seed)
        clean = _levelled(self._crops(self.speech, count, SPEED))
        # The way to the microphone: a room, and the microphone's spectrum, which noise goes through as well.
        spectrum, noise = torch.fft.rfft(clean, SIZE), torch.fft.rfft(self._noise(clean), SIZE)
        microphone = self._shape(count, MICROPHONE_DB, SHARES["microphone"])
        narrow = self._uniform(count, 3000.0, 7000.0)
        above = (self.hz / torch.where(self._some(count, SHARES["narrow"]), narrow, 1e9) - 1).clamp(0, 1 / 8)
        microphone = microphone * 10 ** (-3 * 8 * above)
        said = torch.fft.irfft(spectrum * torch.fft.rfft(self._rooms(count), SIZE) * microphone, SIZE)[:, :SAMPLES]
        around = torch.fft.irfft(noise * microphone, SIZE)[:, :SAMPLES]
        # Noise at some SNR, then a level for both.
        snr = torch.where(self._some(count, SHARES["noise"]), self._uniform(count, *SNR_DB), 60.0)
        ratio = _rms(said) / _rms(around) / 10 ** (snr / 20)
        heard = said + ratio * around
        heard = heard / _rms(heard) * 10 ** (self._uniform(count, *LEVEL_DB) / 20)
        return Mixed(heard.clamp(-1, 1), clean)

    def _uniform(self, count: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, device=self.device, generator=self.generator)

    def _some(self, count: int, share: float) -> Tensor:
        return self._uniform(count, 0.0, 1.0) < share

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, device=self.device, generator=self.generator)

    def _crops(self, pool: Tensor, count: int, speed: tuple[float, float]) -> Tensor:
        """Stretches (count, samples) from random places, each at its own speed."""
        # Drawn first, as a fraction of the pool's length; a short pool is repeated.
        places = torch.arange(SAMPLES, device=self.device) * self._uniform(count, *speed)
        starts = (self._uniform(count, 0.0, 1.0).double() * len(pool)).long()
        left = places.long()
        share = places - left
        before, after = pool[(starts + left) % len(pool)], pool[(starts + left + 1) % len(pool)]
        return (before * (1 - share) + after * share) / 32768

    def _noise(self, clean: Tensor) -> Tensor:
        """Recorded noise, white noise or many voices, each with a spectrum and a course in time of its own."""
        count = len(clean)
        kind = self._uniform(count, 0.0, 1.0)
        order = [torch.randperm(count, device=self.device, generator=self.generator) for _ in range(7)]
        many = self._uniform(count, 2.0, 8.0)
        babble = sum(clean[other] * (i < many) for i, other in enumerate(order))
        noise = torch.where(kind < MADE_UP + BABBLE, babble, self._crops(self.noise, count, NOISE_SPEED))
        noise = torch.where(kind < MADE_UP, self._normal(count, SAMPLES), noise)
        shape = self._shape(count, SHAPE_DB, SHARES["shaped"])
        noise = torch.fft.irfft(torch.fft.rfft(noise, SIZE) * shape, SIZE)[:, :SAMPLES]
        turns = (2 * torch.rand(count, 1, 7, device=self.device, generator=self.generator) - 1) * SHAPE_DB
        turns = turns * self._some(count, SHARES["swelling"])[..., None]
        return noise * 10 ** (torch.nn.functional.interpolate(turns, SAMPLES, mode="linear")[:, 0] / 20)

    def _shape(self, count: int, most_db: float, share: float) -> Tensor:
        """Gains (count, bins) that differ by up to ``most_db`` from octave to octave, for a share of them."""
        gains = (2 * torch.rand(count, 8, device=self.device, generator=self.generator) - 1) * most_db
        return 10 ** ((gains * self._some(count, share)) @ self.octaves / 20)

    def _rooms(self, count: int) -> Tensor:
        """Impulse responses (count, taps): a direct path and, in a room, a decaying tail of noise (Polack 1988)."""
        time = torch.arange(ECHO, device=self.device) / SAMPLE_RATE
        tail = self._normal(count, ECHO) * torch.exp(-np.log(1000.0) * time / self._uniform(count, *RT60))
        level = self._uniform(count, *ECHO_LEVEL) * self._some(count, SHARES["room"])
        response = level * tail / tail.norm(dim=1, keepdim=True)
        response[:, 0] += 1
        return response


def _rms(waveforms: Tensor) -> Tensor:
    return waveforms.square().mean(1, keepdim=True).sqrt().clamp_min(1e-6)


def _levelled(waveforms: Tensor) -> Tensor:
    """At ``SPEECH_LEVEL`` where something is said."""
    hops = waveforms.unflatten(1, (-1, HOP)).square().mean(2)
    loud = hops > SILENT * hops.amax(1, keepdim=True)
    rms = ((hops * loud).sum(1, keepdim=True) / loud.sum(1, keepdim=True).clamp_min(1)).sqrt()
    return waveforms * (SPEECH_LEVEL / rms.clamp_min(1e-4))
