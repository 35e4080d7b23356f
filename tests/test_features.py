import pytest
import torch
import torchaudio

from kws.data.spectrum import Spectrum
from kws.evaluate import probabilities
from kws.features import LogMel, frames_in, log_mels


@pytest.fixture
def waveform():
    return 0.3 * torch.randn(3, 16_000, generator=torch.Generator().manual_seed(0))


def test_equals_torchaudio(waveform):
    """Our frame k ends where torchaudio's centred frame k - 1 does, once 40 samples are dropped; edges differ by design."""
    mel = torchaudio.transforms.MelSpectrogram(16_000, n_fft=400, win_length=400, hop_length=160, n_mels=40)
    theirs = mel(waveform).clamp(1e-9, 1e9).log()
    ours = LogMel()(waveform[:, 40:])
    torch.testing.assert_close(ours[..., 3:100], theirs[..., 2:99], atol=1e-4, rtol=1e-4)


def test_equals_torchaudio_without_centring(waveform):
    mel = torchaudio.transforms.MelSpectrogram(
        16_000, n_fft=400, win_length=400, hop_length=160, n_mels=40, center=False
    )
    padded = torch.cat([torch.zeros(3, 400), waveform], 1)
    torch.testing.assert_close(LogMel()(padded[:, 400:]), mel(padded).clamp(1e-9, 1e9).log())


def test_a_second_has_101_frames_and_the_clamp_holds(waveform):
    assert LogMel()(waveform).shape == (3, 40, 101)
    assert frames_in(16_000) == 101
    silence = LogMel()(torch.zeros(1, 16_000))
    assert (silence == torch.tensor(1e-9).log()).all()


@pytest.mark.parametrize("samples", [1, 159, 160, 161, 399, 400, 7_777, 15_999])
def test_frames_never_look_ahead(waveform, samples):
    """The frames of the first samples are those of the whole: what a stream needs."""
    front_end = LogMel()
    part = front_end(waveform[:, :samples])
    assert part.shape[-1] == samples // 160 + 1 == frames_in(samples)
    torch.testing.assert_close(part, front_end(waveform)[..., : part.shape[-1]], atol=1e-5, rtol=1e-5)


def test_batches_give_the_same(waveform):
    many = waveform[:1].repeat(130, 1) * torch.linspace(0.1, 1, 130)[:, None]
    torch.testing.assert_close(log_mels(many), LogMel()(many), atol=1e-5, rtol=1e-5)


def test_log_mels_and_judging_take_one_thread_and_give_the_others_back():
    threads, seen = torch.get_num_threads(), []

    def spy(x: torch.Tensor) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return torch.zeros(len(x), 40, 101)

    spy.n_mels, spy.spectrum = 40, Spectrum()
    torch.set_num_threads(3)
    try:
        log_mels(torch.zeros(2, 16_000), spy)
        probabilities(lambda x: spy(x)[:, :2, 0], torch.zeros(2, 40, 101))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert seen == [1, 1]
