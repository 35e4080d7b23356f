"""Other engines as adapters: any cutting of the sound gives the same, and what an engine lacks is told. Each needs its package."""

import importlib

import numpy as np
import pytest

from recipes import engines

PACKAGES = {"OpenWakeWord": "openwakeword", "MicroWakeWord": "pymicro_wakeword", "PocketSphinx": "pocketsphinx"}


class Counting(engines.Stepwise):
    """A step's probability is its first sample in thousandths."""

    step_samples = first_sample = 100

    def __init__(self):
        self.reset()

    def restart(self) -> None:
        self.restarted = True

    def step(self, samples: np.ndarray) -> float:
        assert samples.dtype == np.int16
        return samples[0] / 1000


@pytest.mark.parametrize("size", [1, 33, 100, 250, 1000])
def test_steps_do_not_depend_on_how_the_sound_is_cut(size):
    engine, samples = Counting(), np.arange(955)
    chunks = np.split((samples / 32768).astype(np.float32), range(size, len(samples), size))
    said = np.concatenate([engine(chunk) for chunk in chunks])
    np.testing.assert_allclose(said, np.arange(9) / 10)
    engine.reset()
    assert engine(np.ones(99, np.float32)).shape == (0,)
    assert engine(np.ones(1, np.float32)).tolist() == [32.767]  # no sample is beyond 16 bits


@pytest.fixture(params=PACKAGES)
def adapter(request):
    try:
        importlib.import_module(PACKAGES[request.param])
    except ImportError as error:
        pytest.skip(f"{request.param}: {error}")
    return getattr(engines, request.param)


def test_an_engine_is_what_a_benchmark_needs(adapter):
    engine = adapter("alexa")
    noise = (0.05 * np.random.default_rng(0).standard_normal(32_000)).astype(np.float32)
    said = engine(noise)
    assert len(said) == (32_000 - engine.first_sample) // engine.step_samples + 1
    assert ((said >= 0) & (said < engine.threshold)).all()
    engine.reset()
    np.testing.assert_allclose(np.concatenate([engine(noise[:999]), engine(noise[999:])]), said, atol=1e-6)
    assert (engine.keyword, engine.smoothing) == ("alexa", 1)
    assert 0 < engine.threshold < 1
    assert engine.bytes > 10_000


def test_a_word_that_an_engine_does_not_know_is_told(adapter):
    with pytest.raises(ValueError, match="xqzt|has alexa"):
        adapter("xqzt")
