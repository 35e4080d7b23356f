"""Scenes tell where their keywords are, and are the same from the same seed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import tones

from kws.scenes import Scene, SceneConfig, Sounds, Word, in_noise, long_stream, make_scene

QUIET = SceneConfig(
    noise_share=0.0,
    room_share=0.0,
    speed=(1.0, 1.0),
    piece_gain_db=(0.0, 0.0),
    no_speech=0.0,
    narrow_share=0.0,
    microphone_share=0.0,
)


def test_keywords_are_where_the_scene_says():
    """The high tone sounds between a keyword's start and end, and nowhere else."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(40):
        scene = make_scene(tones(), replace(QUIET, altered_share=0.0, part_share=0.0, splice_share=0.0), rng)
        spectrum = torch.stft(scene.waveform, 320, 160, window=torch.hann_window(320), return_complex=True).abs()
        high = spectrum[60] > 0.3 * spectrum.max()  # bin 60 is 3 kHz
        said, near = torch.zeros(2, len(high), dtype=torch.bool)
        for start, end in scene.keywords:
            assert 0 <= start < end <= 4
            said[round(start * 100) + 4 : round(end * 100) - 4] = True
            near[max(round(start * 100) - 4, 0) : round(end * 100) + 5] = True
            found += 1
        assert high[said].all()
        assert not high[~near].any()
    assert found > 30


def test_the_same_seed_gives_the_same_scene():
    sounds, config = tones(), SceneConfig()
    one, two, other = (make_scene(sounds, config, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.waveform, two.waveform)
    assert one.keywords == two.keywords
    assert not torch.equal(one.waveform, other.waveform)
    assert torch.isfinite(one.waveform).all()
    assert one.waveform.abs().max() <= 1


def test_the_long_stream_says_every_keyword_once_at_its_snr():
    sounds = tones()
    sounds = replace(sounds, keywords=sounds.keywords * 7)
    loud, faint = long_stream(sounds, 10.0), long_stream(sounds, 30.0)
    assert len(loud.keywords) == 7
    assert loud.keywords == faint.keywords
    assert all(end + 2 <= len(loud.waveform) / 16_000 for _, end in loud.keywords)
    ends = [end for _, end in loud.keywords]
    assert all(start - before >= 1.99 for (start, _), before in zip(loud.keywords[1:], ends, strict=False))
    clean = long_stream(sounds, 300.0).waveform
    spectrum = torch.stft(clean, 320, 160, window=torch.hann_window(320), return_complex=True).abs()
    high = spectrum[60] > 0.3 * spectrum[60].max()
    said, near = torch.zeros(2, len(high), dtype=torch.bool)
    for start, end in loud.keywords:
        said[round(start * 100) + 4 : round(end * 100) - 4] = True
        near[round(start * 100) - 4 : round(end * 100) + 5] = True
    assert high[said].all()
    assert not high[~near].any()
    for scene, snr in ((loud, 10), (faint, 30)):
        noise = scene.waveform - clean
        spoken = clean[clean.abs() > 1e-9].square().mean()
        assert 10 * torch.log10(spoken / noise.square().mean()) == pytest.approx(snr, abs=0.5)


@pytest.mark.parametrize("snr_db", [0.0, 10.0])
def test_a_scene_in_noise_has_its_snr_over_what_is_spoken(snr_db):
    spoken = 0.1 * torch.sin(torch.arange(1, 30 * 16_000 + 1) / 7)
    quiet = Scene(torch.cat([spoken, torch.zeros(30 * 16_000)]), [(1.0, 2.0)])
    noises = [(3_000 * torch.randn(50_000, generator=torch.Generator().manual_seed(i))).short() for i in range(3)]
    noisy = in_noise(quiet, noises, snr_db, seed=4)
    noise = noisy.waveform - quiet.waveform
    # A sine of amplitude 0.1 has power 0.005; its pauses do not count, and each 20 s have their noise.
    for part in noise.split(20 * 16_000):
        assert 10 * torch.log10(0.005 / part.square().mean()) == pytest.approx(snr_db, abs=0.01)
    assert noisy.keywords == quiet.keywords
    assert torch.equal(noisy.waveform, in_noise(quiet, noises, snr_db, seed=4).waveform)
    assert not torch.equal(noisy.waveform, in_noise(quiet, noises, snr_db, seed=5).waveform)
    assert torch.equal(quiet.waveform[: len(spoken)], spoken)


def test_a_keyword_that_seems_far_too_short_ends_in_the_stream_where_most_end():
    sounds = tones()
    word = sounds.keywords[0]
    usual = word.end - word.start
    lengths = [usual] * 5 + [round(0.5 * usual), round(0.7 * usual)]
    words = [Word(word.waveform, word.start, word.start + length) for length in lengths]
    late = Word(word.waveform, 14_000, 15_000)  # its clip is cut
    stream = long_stream(replace(sounds, keywords=[*words, late]), 20.0)
    found = sorted(round(16_000 * (end - start)) for start, end in stream.keywords)
    assert found == pytest.approx(sorted([usual] * 6 + [round(0.7 * usual), 2000]), abs=1)


def noise_alone(sounds: Sounds, **shares) -> np.ndarray:
    """Power spectrum of a scene without speech, a Hertz a bin."""
    plain = SceneConfig(seconds=1.0, no_speech=1.0, room_share=0.0, made_up_share=0.0, babble_share=0.0)
    plain = replace(plain, shaped_share=0.0, swelling_share=0.0, microphone_share=0.0, noise_speed=(1.0, 1.0))
    waveform = make_scene(sounds, replace(plain, **shares), np.random.default_rng(0)).waveform
    return np.abs(np.fft.rfft(waveform.double().numpy())) ** 2


def test_noises_are_recorded_ones_at_another_speed_white_or_of_many_voices():
    time = np.arange(48_000) / 16_000
    hum, said = (torch.from_numpy((9000 * np.sin(2 * np.pi * f * time)).astype(np.int16)) for f in (1000, 600))
    sounds = replace(tones(), noises=[hum], talk=[said])
    assert noise_alone(sounds).argmax() == 1000
    assert noise_alone(sounds, noise_speed=(1.5, 1.5)).argmax() == 1500
    assert abs(noise_alone(sounds, babble_share=1.0).argmax() - 600) <= 1
    white = noise_alone(sounds, made_up_share=1.0).reshape(-1, 1)[1:].reshape(8, -1).mean(1)
    assert white.max() / white.min() < 1.2


def test_shapes_keep_to_their_limit():
    flat, shaped = (noise_alone(tones(), made_up_share=1.0, shaped_share=share) for share in (0.0, 1.0))
    change = 10 * np.log10(shaped[65:].reshape(-1, 64).mean(1) / flat[65:].reshape(-1, 64).mean(1))
    assert 3 < np.ptp(change) < 25


def test_narrow_pieces_lack_what_is_above():
    said = (3000 * torch.randn(16_000, generator=torch.Generator().manual_seed(0))).to(torch.int16)
    sounds = replace(tones(), keywords=[], words=[Word(said, 0, 16_000)])
    config = replace(QUIET, no_keyword=1.0, altered_share=0.0, part_share=0.0, splice_share=0.0)
    power = []
    for share in (0.0, 1.0):
        wave = make_scene(
            sounds, replace(config, narrow_share=share, narrow_hz=(4000.0, 4000.0)), np.random.default_rng(1)
        ).waveform
        spectrum = np.abs(np.fft.rfft(wave.double().numpy())) ** 2
        power.append(spectrum[len(spectrum) * 9 // 16 :].sum() / spectrum.sum())
    assert power[0] > 0.4
    assert power[1] < 1e-4
