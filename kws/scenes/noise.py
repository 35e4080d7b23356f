"""The noise of scenes: recorded at another speed, made up, or of many voices, with a spectrum of its own."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kws.data.acoustics import cut_noise
from kws.data.audio import SAMPLE_RATE, to_float
from kws.scenes.config import SceneConfig
from kws.scenes.sounds import Sounds

VOICES = (3, 8)  # of a babble: from so many to one fewer than that
TURNS = (3, 12)  # of a course in time, likewise


def varied_noise(sounds: Sounds, config: SceneConfig, samples: int, rng: np.random.Generator) -> Tensor:
    """Noise (samples,) float32 of a random kind, spectrum and course in time."""
    # The kind: made up, of many voices, or recorded.
    kind = rng.random()
    if kind < config.made_up_share:
        noise = rng.standard_normal(samples).astype(np.float32)
    elif kind < config.made_up_share + config.babble_share:
        noise = sum(voice(sounds, samples, rng) for _ in range(rng.integers(*VOICES)))
    else:
        places = np.arange(samples) * rng.uniform(*config.noise_speed)
        recorded = recorded_noise(sounds.noises, int(places[-1]) + 2, rng).numpy()
        noise = np.interp(places, np.arange(len(recorded)), recorded).astype(np.float32)
    # Another spectrum, and another course in time.
    if rng.random() < config.shaped_share:
        noise = shaped(noise, config.shape_db, rng)
    if rng.random() < config.swelling_share:
        turns = rng.uniform(-config.shape_db, config.shape_db, int(rng.integers(*TURNS)))
        course = np.interp(np.arange(samples), np.linspace(0, samples, len(turns)), turns)
        noise *= (10 ** (course / 20)).astype(np.float32)
    return torch.from_numpy(noise)


def recorded_noise(noises: Sequence[Tensor], samples: int, rng: np.random.Generator) -> Tensor:
    """A stretch (samples,) float32 of a random noise from a random place; a short noise is repeated."""
    # A sample more is cut than is taken, as when the published streams were made: the same draws give the same places.
    return cut_noise(noises, samples + 1, lambda n: int(rng.integers(n)))[:samples]


def voice(sounds: Sounds, samples: int, rng: np.random.Generator) -> np.ndarray:
    """One voice (samples,) of a babble: phrases one after another, or words; the last ends with the noise."""
    sources = [phrases for phrases in (sounds.recorded, sounds.talk) if len(phrases)]
    source = sources[rng.integers(len(sources))] if sources else [word.waveform for word in sounds.words]
    said, length = [], -int(rng.integers(SAMPLE_RATE))
    while length < samples:
        said.append(to_float(source[rng.integers(len(source))]).numpy())
        said[-1] = said[-1] / max(float(np.sqrt(np.square(said[-1]).mean())), 1e-4)
        length += len(said[-1])
    return np.concatenate(said)[-samples:]


def shaped(waveform: np.ndarray, most_db: float, rng: np.random.Generator) -> np.ndarray:
    """Another spectrum: at each of eight octaves from 64 Hz on, up to ``most_db`` louder or fainter."""
    octaves = np.log2(np.maximum(_frequencies(len(waveform)), 1))
    shape = np.interp(octaves, np.linspace(6, 13, 8), rng.uniform(-most_db, most_db, 8))
    return _filtered(waveform, 10 ** (shape / 20))


def narrowed(waveform: np.ndarray, highest_hz: float) -> np.ndarray:
    """Without what is above a frequency: 60 dB less from an eighth above it on."""
    above = _frequencies(len(waveform)) / highest_hz - 1
    return _filtered(waveform, 10 ** (-3 * np.clip(8 * above, 0, 1)))


def _size(samples: int) -> int:
    """A power of two, for a fast FFT."""
    return 1 << (samples - 1).bit_length()


def _frequencies(samples: int) -> np.ndarray:
    """In Hz, of the bins that ``_filtered`` weighs."""
    size = _size(samples)
    return np.arange(size // 2 + 1) / size * SAMPLE_RATE


def _filtered(waveform: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """A waveform (samples,) with each frequency times its gain, float32."""
    spectrum = np.fft.rfft(waveform, _size(len(waveform)))
    return np.fft.irfft(spectrum * gain)[: len(waveform)].astype(np.float32)
