import pytest
import torch

from kws.data.acoustics import coloured_noise, convolve, mix_at_snr, power, room_responses
from kws.data.augment import WaveformAugmentation, augment_waveforms, change_speed_and_shift


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def waveforms():
    return 0.1 * torch.randn(16, 16_000, generator=generator())


def test_snr_is_what_was_asked(waveforms):
    noise = torch.randn(16, 16_000, generator=generator(1))
    snr = torch.linspace(-5, 30, 16)[:, None]
    added = mix_at_snr(waveforms, noise, snr) - waveforms
    torch.testing.assert_close(10 * torch.log10(power(waveforms) / power(added)), snr, atol=0.01, rtol=0)


def test_shift_by_whole_samples_is_exact(waveforms):
    shift = torch.arange(16)[:, None] * 100 - 700
    moved = change_speed_and_shift(waveforms, torch.ones(16, 1), shift)
    for row, before, by in zip(moved, waveforms, shift[:, 0].tolist(), strict=True):
        expected = torch.zeros(16_000)
        expected[max(by, 0) : 16_000 + min(by, 0)] = before[max(-by, 0) : 16_000 - max(by, 0)]
        assert (row - expected).abs().max() < 0.02  # float32 positions: a sample's place is known to a few thousandths


def test_speed_raises_the_pitch():
    time = torch.arange(16_000) / 16_000
    faster = change_speed_and_shift(
        torch.sin(2 * torch.pi * 500 * time)[None], torch.tensor([[1.1]]), torch.zeros(1, 1)
    )
    assert torch.fft.rfft(faster)[0].abs().argmax() == pytest.approx(550, abs=1)


def test_convolution_equals_the_sum(waveforms):
    response = room_responses(torch.full((2, 1), 0.3), torch.full((2, 1), 0.5), generator(), seconds=0.01)
    expected = torch.stack(
        [
            torch.nn.functional.conv1d(w[None, None], r.flip(0)[None, None], padding=159)[0, 0, :500]
            for w, r in zip(waveforms[:2, :500], response, strict=True)
        ]
    )
    torch.testing.assert_close(convolve(waveforms[:2, :500], response), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_noise_has_its_colour(exponent):
    spectrum = torch.fft.rfft(coloured_noise(1 << 16, exponent, generator())).abs().square()
    low, high = spectrum[1000:1100].mean(), spectrum[10_000:11_000].mean()
    slope = torch.log(low / high) / torch.log(torch.tensor(10.0))
    assert slope == pytest.approx(exponent, abs=0.15)


def test_views_are_reproducible_varied_and_finite(waveforms):
    waveforms[0] = 0  # a silent clip must not become NaN

    def views(seed):
        return augment_waveforms(
            waveforms, [torch.randn(20_000)], waveforms.flip(0), WaveformAugmentation(), generator(seed)
        )

    torch.manual_seed(5)
    a = views(3)
    torch.manual_seed(5)
    assert torch.equal(a, views(3))
    torch.manual_seed(5)
    assert not torch.allclose(a, views(4))
    assert torch.isfinite(a).all()
    assert a.shape == waveforms.shape


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_no_room_and_every_room(waveforms, share):
    """A batch in which no clip is in a room once crashed the FFT."""
    config = WaveformAugmentation(speed=(1, 1), shift_seconds=(0, 0), gain_db=(0, 0), noise_share=0, room_share=share)
    changed = augment_waveforms(waveforms[:1], [torch.randn(20_000)], waveforms[:1], config, generator())
    assert torch.allclose(changed, waveforms[:1], atol=0.02) == (share == 0)  # float32 positions, as above
