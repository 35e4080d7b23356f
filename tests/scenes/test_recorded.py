"""Recorded speech is cut at its pauses, and sounds in scenes as talk, in splices and in altered keywords."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from kws.data.corpus import CorpusError
from kws.scenes import SceneConfig, Sounds, Word, make_scene
from kws.scenes.recorded import cut_at_pauses, recorded_phrases

QUIET = SceneConfig(
    noise_share=0.0,
    room_share=0.0,
    speed=(1.0, 1.0),
    no_speech=0.0,
    no_keyword=1.0,
    recorded_share=1.0,
    narrow_share=0.0,
    microphone_share=0.0,
)


def tone(hertz: float, seconds: float) -> torch.Tensor:
    return 0.5 * torch.sin(2 * torch.pi * hertz * torch.arange(int(16_000 * seconds)) / 16_000)


def silence(seconds: float) -> torch.Tensor:
    return torch.zeros(int(16_000 * seconds))


def test_cut_at_pauses():
    """Long ones are parted at pauses, short ones stay together. 0.1 s of silence is no pause, 50 ms of sound no phrase."""
    lengths = [
        [round(len(p) / 16_000, 1) for p in cut_at_pauses(torch.cat(parts))]
        for parts in (
            [silence(0.5), tone(200, 1.5), silence(0.3), tone(200, 1.2), silence(1)],
            [tone(200, 0.5), silence(0.3), tone(200, 0.5)],
            [tone(200, 1.5), silence(0.1), tone(200, 1.2)],
            [silence(0.5), tone(200, 0.05), silence(2), tone(200, 0.4)],
        )
    ]
    assert lengths == [pytest.approx([1.6, 1.3], abs=0.11), [1.3], [2.8], [0.4]]
    assert cut_at_pauses(silence(3)) == []
    assert cut_at_pauses(torch.zeros(0)) == []


def test_speech_without_a_pause_is_cut_where_it_is_quietest():
    """Noise hides every pause; the only cut of 8.3 s is in the pause that is away from the ends."""
    spoken = torch.cat([tone(200, 1), silence(0.3), tone(200, 3), silence(0.3), tone(200, 3.7)])
    noisy = spoken + 0.01 * torch.randn(len(spoken), generator=torch.Generator().manual_seed(0))
    first, second = cut_at_pauses(noisy)
    assert 4.3 <= len(first) / 16_000 <= 4.6
    assert len(first) + len(second) == len(spoken) // 160 * 160


def test_a_folder_of_recordings(tmp_path):
    """In the order of their names, below folders too; what holds no speech is told."""
    with pytest.raises(FileNotFoundError, match="no sound file"):
        recorded_phrases(tmp_path)
    (tmp_path / "b").mkdir()
    soundfile.write(tmp_path / "b" / "one.flac", silence(2).numpy(), 16_000)
    with pytest.raises(CorpusError, match="no speech to train on"):
        recorded_phrases(tmp_path)
    soundfile.write(tmp_path / "b" / "two.wav", tone(300, 1.0).numpy(), 16_000)
    soundfile.write(tmp_path / "a.flac", tone(300, 0.5).numpy(), 16_000)
    (tmp_path / "validation" / "c").mkdir(parents=True)
    soundfile.write(tmp_path / "validation" / "c" / "three.wav", tone(300, 0.8).numpy(), 16_000)
    phrases = recorded_phrases(tmp_path)
    assert [len(p) for p in phrases] == [8_000, 16_000]
    assert [len(p) for p in recorded_phrases(tmp_path, "validation")] == [12_800]
    assert recorded_phrases(tmp_path, "test") == []
    assert all(p.dtype == torch.int16 and p.abs().max() > 16_000 for p in phrases)


def test_phrases_are_kept_until_a_file_is_added(tmp_path, monkeypatch):
    folder, cache = tmp_path / "speech", tmp_path / "cache"
    folder.mkdir()
    soundfile.write(folder / "a.flac", tone(300, 0.5).numpy(), 16_000)
    first = recorded_phrases(folder, cache=cache)
    with monkeypatch.context() as patch:
        patch.setattr("kws.scenes.recorded.read_audio", lambda path: pytest.fail("read anew"))
        kept = recorded_phrases(folder, cache=cache)
    assert all(torch.equal(a, b) for a, b in zip(first, kept, strict=True))
    soundfile.write(folder / "b.flac", tone(300, 1.0).numpy(), 16_000)
    assert [len(p) for p in recorded_phrases(folder, cache=cache)] == [8_000, 16_000]


@pytest.mark.parametrize("way", ["altered_share", "talk_share", "splice_share"])
def test_recorded_speech_in_scenes(way):
    """Each kind of speech has its frequency: that of recordings sounds in all three ways, in place of another."""
    as_word = [Word((32767 * tone(hertz, 0.5)).to(torch.int16), 0, 8_000) for hertz in (3000, 300)]
    talk, recorded = ((32767 * tone(hertz, 1.5)).to(torch.int16) for hertz in (600, 1500))
    sounds = Sounds(as_word[:1], as_word[1:], [talk], [torch.ones(48_000, dtype=torch.int16)], [recorded])
    none = dict.fromkeys(("altered_share", "part_share", "talk_share", "splice_share"), 0.0)
    config = replace(QUIET, **(none | {way: 1.0}))

    def heard(sounds: Sounds, config: SceneConfig) -> np.ndarray:
        """Which of the four tones sound in scenes."""
        rng = np.random.default_rng(0)
        waveform = torch.cat([make_scene(sounds, config, rng).waveform for _ in range(8)])
        power = torch.stft(waveform, 320, 160, window=torch.hann_window(320), return_complex=True).abs().square().sum(1)
        return (power[[60, 6, 12, 30]] / power.sum() > 0.02).numpy()

    assert heard(sounds, config).tolist() == [way == "altered_share", False, False, True]
    without = heard(replace(sounds, recorded=[]), config)
    assert not without[3]
    assert np.array_equal(without, heard(sounds, replace(config, recorded_share=0.0)))
