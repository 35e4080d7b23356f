"""The frames of a front end, against a Fourier transform of each by NumPy."""

import numpy as np
import pytest
import torch
import torchaudio

from kws.data.spectrum import TAPS, Spectrum, low_pass
from kws.features import LogMel

SPECTRA = [Spectrum(), Spectrum(16_000, 256, 480), Spectrum(8_000, 200, 160, 2), Spectrum(8_000, 128, 320, 4)]


@pytest.mark.parametrize("spectrum", SPECTRA, ids=str)
def test_each_frame_is_the_transform_of_what_it_hears(spectrum):
    waveform = 0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    found = LogMel(8, spectrum)(waveform[None])[0].numpy()
    padded = np.concatenate([np.zeros(1_000), waveform.double().numpy()])
    if spectrum.rate == 8_000:
        # Filtered, each sample by those before it.
        padded = np.convolve(padded, low_pass()[0, 0].double().numpy()[::-1])[: len(padded)]
    fine = torchaudio.functional.melscale_fbanks(
        spectrum.window // 2 + 1, 0.0, spectrum.rate / 2, 8 * spectrum.merged, spectrum.rate
    )
    bands = fine.numpy().reshape(len(fine), 8, spectrum.merged).mean(2)
    window = np.hanning(spectrum.window + 1)[:-1]
    step = 16_000 // spectrum.rate
    for k in range(16_000 // spectrum.hop + 1):
        end = 1_000 + k * spectrum.hop
        frame = padded[:end][::-1][: step * spectrum.window : step][::-1]
        power = np.abs(np.fft.rfft(frame * window)) ** 2 @ bands
        np.testing.assert_allclose(found[:, k], np.log(power.clip(1e-9)), atol=2e-3)
    assert found.shape == (8, 16_000 // spectrum.hop + 1)


@pytest.mark.parametrize("spectrum", SPECTRA, ids=str)
def test_no_frame_hears_what_comes_after_it_nor_before_its_reach(spectrum):
    waveform = 0.1 * torch.randn(1, 16_000, generator=torch.Generator().manual_seed(1))
    front_end, k = LogMel(8, spectrum), 20
    end = k * spectrum.hop
    heard = torch.zeros_like(waveform)
    heard[:, end - spectrum.reach : end] = waveform[:, end - spectrum.reach : end]
    torch.testing.assert_close(front_end(heard)[..., k], front_end(waveform)[..., k], atol=1e-4, rtol=0)
    heard[:, end - spectrum.reach : end - spectrum.reach + spectrum.window // 4] = 0
    assert not torch.allclose(front_end(heard)[..., k], front_end(waveform)[..., k], atol=1e-4)


def test_the_low_pass_leaves_what_is_below_3_khz_and_takes_what_is_above_5():
    gain = 20 * torch.log10(torch.fft.rfft(low_pass()[0, 0], 1_600).abs())  # 10 Hz a bin
    assert gain[:300].abs().max() < 0.2
    assert gain[500:].max() < -40
    assert low_pass().shape == (1, 1, TAPS)


def test_frames_that_cannot_be_made_are_refused():
    for wrong in ({"rate": 11_025}, {"rate": 8_000, "hop": 161}, {"window": 0}, {"merged": 0}):
        with pytest.raises(ValueError, match="no frames can be made so"):
            Spectrum(**wrong)
