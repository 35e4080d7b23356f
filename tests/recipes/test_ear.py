"""The ear's training: noisy speech with the clean speech behind it, and networks that learn to hear the one as the other."""

import numpy as np
import pytest
import torch
from conftest import STEPS, MeanEmbedding

from kws.checkpoint import load_model, load_provenance
from kws.data.audio import SAMPLE_RATE
from kws.data.storage import save_flac
from kws.research.networks import EARS, Rung
from recipes import ear
from recipes.ear_sound import SAMPLES, SPEECH_LEVEL, Mixer, sounds_below


@pytest.fixture
def pool():
    """A minute of speech that is bursts of a tone, and a minute of noise; (samples,) int16."""
    time = np.arange(60 * SAMPLE_RATE) / SAMPLE_RATE
    speech = 3000 * np.sin(2 * np.pi * 500 * time) * (np.sin(2 * np.pi * time) > -0.5)
    noise = np.random.default_rng(0).normal(0, 1000, len(time))
    return [torch.from_numpy(sound.astype(np.int16)) for sound in (speech, noise)]


def test_scenes_follow_from_their_seed(pool):
    mixer = Mixer(*pool)
    first, again, other = mixer(4, 1), mixer(4, 1), mixer(4, 2)
    assert first.heard.shape == first.clean.shape == (4, SAMPLES)
    assert torch.equal(first.heard, again.heard)
    assert torch.equal(first.clean, again.clean)
    assert not torch.equal(first.heard, other.heard)


def test_clean_speech_is_always_as_loud_and_what_is_heard_is_not(pool):
    heard, clean = Mixer(*pool)(16, 3)
    loud = [row[row.abs() > 1e-3].square().mean().sqrt() for row in clean]
    assert loud == pytest.approx([SPEECH_LEVEL] * 16, rel=0.2)
    levels = 20 * heard.square().mean(1).sqrt().log10()
    assert levels.min() > -46
    assert levels.max() < -11
    assert levels.max() - levels.min() > 10


def test_speech_can_still_be_heard_in_it(pool):
    """Without noise and room what is heard is the clean speech at another level: its spectrum has the same peak."""
    heard, clean = Mixer(*pool)(32, 4)
    peaks = [int(torch.fft.rfft(row).abs().argmax()) for row in (*heard, *clean)]
    same = [abs(a - b) <= 2 for a, b in zip(peaks[:32], peaks[32:], strict=True)]
    assert sum(same) >= 24


def test_sounds_of_a_folder_follow_each_other(tmp_path):
    for i in range(2):
        save_flac(torch.full((SAMPLE_RATE,), 1000 * (i + 1), dtype=torch.int16), tmp_path / f"{i}.flac", SAMPLE_RATE)
    sound = sounds_below(tmp_path, pause=0.5)
    assert len(sound) == 3 * SAMPLE_RATE
    assert [int(sound[i * SAMPLE_RATE // 2]) for i in range(6)] == [1000, 1000, 0, 2000, 2000, 0]


def test_ears_are_written_with_what_they_leave_unexplained(pool, tmp_path, monkeypatch):
    for name, sound in zip(("speech", "noise"), pool, strict=True):
        (tmp_path / name).mkdir()
        save_flac(sound, tmp_path / name / "one.flac", SAMPLE_RATE)
    monkeypatch.setattr(ear, "BATCH", 4)
    monkeypatch.setattr(ear, "STEPS_AN_EPOCH", 2)
    monkeypatch.setattr(ear, "load_speech_embedding", lambda path: MeanEmbedding())
    monkeypatch.setitem(EARS, "middle", Rung("an ear", STEPS, learning_rate=1e-2))
    folders = [str(tmp_path / name) for name in ("speech", "noise", "speech", "out")]
    ear.main(["embedding.onnx", *folders, "--minutes", "0.01", "--names", "middle", "--about", "tones"])
    assert load_model(tmp_path / "out" / "middle.pt").config == STEPS
    about = load_provenance(tmp_path / "out" / "middle.pt")
    assert about.corpus == "tones"
    assert 0 < about.metrics["unexplained variance of the embedding, other voices"] < 5
