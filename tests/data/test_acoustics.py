"""Noise is cut anywhere and mixed at the ratio that was asked for."""

import pytest
import torch

from kws.data.acoustics import cut_noise, mix_at_snr, noise_gain, power


def test_noise_is_cut_from_its_first_sample_to_its_last():
    noise = torch.arange(10, dtype=torch.int16)
    first, last = (cut_noise([noise], 4, draw) for draw in (lambda n: 0, lambda n: n - 1))
    assert (first * 32768).tolist() == [0, 1, 2, 3]
    assert (last * 32768).tolist() == [6, 7, 8, 9]
    assert (cut_noise([noise], 10, lambda n: n - 1) * 32768).tolist() == list(range(10))


@pytest.mark.parametrize("samples", [7, 8, 9, 20])
def test_a_short_noise_is_repeated_from_any_place(samples):
    noise = torch.arange(4, dtype=torch.int16)
    asked = []
    cut = cut_noise([noise], samples, lambda n: asked.append(n) or n - 1)
    assert cut.shape == (samples,)
    assert ((cut * 32768).diff() % 4).eq(1).all()  # 3 is followed by 0
    assert asked[1] >= 4


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 20.0])
def test_noise_is_mixed_at_the_ratio_asked_for(snr_db):
    generator = torch.Generator().manual_seed(0)
    speech, noise = torch.randn(2, 3, 16_000, generator=generator)
    mixed = mix_at_snr(speech, noise, torch.full((3, 1), snr_db))
    ratio = 10 * torch.log10(power(speech) / power(mixed - speech))
    torch.testing.assert_close(ratio, torch.full((3, 1), snr_db), atol=1e-3, rtol=0)
    one = power(noise_gain(power(speech[0]), noise[0], snr_db) * noise[0])
    torch.testing.assert_close(10 * torch.log10(power(speech[0]) / one), torch.tensor([snr_db]), atol=1e-3, rtol=0)


def test_silence_is_not_amplified_without_bound():
    assert torch.isfinite(noise_gain(torch.ones(1), torch.zeros(100), 0.0)).all()
