"""A tiny corpus of tones, and the real recordings where they lie beside the checkout."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from kws.data.corpus import Corpus, folder_corpus

torch.set_num_threads(1)  # the models are tiny: more threads cost more than they bring

SHARED = Path(__file__).parents[2] / "shared" / "speech_commands"


def tone(frequency: float, samples: int = 16_000, noise: float = 0.02, seed: int = 0) -> np.ndarray:
    time = np.arange(samples) / 16_000
    return 0.3 * np.sin(2 * np.pi * frequency * time) + noise * np.random.default_rng(seed).standard_normal(samples)


def write_tone_corpus(folder: Path, speakers: int = 20, takes: int = 2) -> Path:
    """Words that differ in pitch: ``low``, ``high`` and ``rise``, some clips shorter than a second, wav and flac mixed."""
    words = {"low": 300.0, "high": 1500.0, "rise": 700.0}
    for i in range(speakers):
        for word, frequency in words.items():
            for take in range(takes):
                path = folder / word / f"{i:08x}_nohash_{take}.{'flac' if i % 3 == 0 else 'wav'}"
                path.parent.mkdir(parents=True, exist_ok=True)
                samples = 16_000 if i % 4 else 12_345
                soundfile.write(path, tone(frequency * (1 + 0.01 * i), samples, seed=100 * i + take), 16_000)
    (folder / "_background_noise_").mkdir()
    soundfile.write(folder / "_background_noise_" / "hiss.wav", tone(50, 48_000, noise=0.1), 16_000)
    return folder


@pytest.fixture(scope="session")
def tone_folder(tmp_path_factory) -> Path:
    return write_tone_corpus(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="session")
def tone_corpus(tone_folder) -> Corpus:
    return folder_corpus(tone_folder, "tones")


@pytest.fixture(scope="session")
def real_folder() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the real recordings are not beside the checkout")
    return SHARED
