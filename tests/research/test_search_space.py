"""What a search may choose: every choice is a network, its front end is that of a direct computation, and costs are those of formulas."""

import math
import random

import numpy as np
import pytest
import torch
import torchaudio

from kws.checkpoint import Provenance, save_model
from kws.compress import fold_batch_norm
from kws.cost import count_macs_exactly, size_in_bytes
from kws.features import LogMel, log_mels
from kws.model import CRNN, CRNNConfig
from kws.research import networks
from kws.research.search_space import (
    BEYOND,
    CHEAPEST,
    SPACE,
    SPECTRA,
    STARTS,
    FrontEnd,
    Logarithmic,
    SpectrumLogMel,
    candidate,
    space_version,
)
from kws.research.whole_cost import whole_cost

FRONT_ENDS = [FrontEnd(name, hop, merged) for name in SPECTRA for hop in (1, 3) for merged in SPACE["merged"]]


def draws(count: int) -> list[dict]:
    chance = random.Random(0)
    return [
        {
            name: values.low if isinstance(values, Logarithmic) else chance.choice(values)
            for name, values in SPACE.items()
        }
        for _ in range(count)
    ]


def extremes() -> list[dict]:
    """The cheapest, with each value of one name at a time."""
    return [
        CHEAPEST | {name: value}
        for name, values in SPACE.items()
        for value in ((values.low, values.high) if isinstance(values, Logarithmic) else values)
    ]


def test_the_space_holds_the_network_that_was_found_by_hand():
    found = candidate(BEYOND)
    assert found.network == networks.BEYOND
    assert (found.distill, found.learning_rate) == (networks.FROM_RANKING, 1e-2)
    network = CRNN(networks.BEYOND)
    assert found.multiplications() == whole_cost(network, 0).multiplications
    assert found.front_end.multiplications() == whole_cost(network, 0).front_end
    for start in STARTS:
        assert start.keys() == SPACE.keys()


def test_every_choice_is_a_network_and_none_is_cheaper():
    least = candidate(CHEAPEST).multiplications()
    for chosen in draws(30) + extremes():
        found = candidate(chosen)
        assert found.multiplications() >= least, chosen
        model = CRNN(found.network).eval()
        assert model(torch.zeros(2, found.front_end.bands, found.front_end.frames)).shape == (2, 2)


def test_bytes_are_those_of_the_file(tmp_path):
    found = candidate(BEYOND)
    model = fold_batch_norm(CRNN(found.network).eval())
    save_model(tmp_path / "m.pt", model, Provenance("", "", "", "", 0, 0, {}), "int8", packed=True)
    assert found.bytes() == size_in_bytes(tmp_path / "m.pt")


def hertz(mel: float) -> float:
    return 700 * (10 ** (mel / 2595) - 1)


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=str)
def test_the_cost_of_a_front_end(front_end):
    """By the edges of the triangles alone: a bin counts once for each band within whose edges it lies."""
    spectrum = SPECTRA[front_end.spectrum]
    n, highest = spectrum.window, 2595 * math.log10(1 + spectrum.rate / 2 / 700)
    edges = [hertz(highest * i / (spectrum.bands + 1)) for i in range(spectrum.bands + 2)]
    values = 0
    for band in range(0, spectrum.bands, front_end.merged):
        low, high = edges[band], edges[band + front_end.merged + 1]
        values += sum(low < i * spectrum.rate / n < high for i in range(n // 2 + 1))
    frame = n + n * math.log2(n) + (n + 2) + values + spectrum.bands / front_end.merged
    assert front_end.multiplications() == pytest.approx(
        frame * (100 // front_end.hop + 1), abs=2 + 2 * 100 / front_end.hop
    )


def test_the_usual_spectrum_is_the_usual_front_end():
    waveform = 0.1 * torch.randn(3, 16_000)
    assert torch.equal(SpectrumLogMel(SPECTRA["16 kHz, 400"])(waveform), LogMel()(waveform))
    assert torch.equal(log_mels(waveform, SpectrumLogMel(SPECTRA["16 kHz, 400"])), log_mels(waveform))


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=str)
def test_what_is_derived_is_what_is_computed(front_end):
    """Against an FFT of each frame by NumPy, at the longer hop and through the wider bands."""
    spectrum = SPECTRA[front_end.spectrum]
    waveform = 0.1 * torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
    derived = front_end.derive(SpectrumLogMel(spectrum)(waveform))[0].numpy()
    assert derived.shape == (front_end.bands, front_end.frames)
    assert derived.shape[0] == spectrum.bands / front_end.merged
    samples = torchaudio.functional.resample(waveform, 16_000, spectrum.rate)[0].double().numpy()
    filters = torchaudio.functional.melscale_fbanks(
        spectrum.window // 2 + 1, 0.0, spectrum.rate / 2, spectrum.bands, spectrum.rate
    ).numpy()
    wide = filters.reshape(len(filters), -1, front_end.merged).mean(2)
    assert (wide.sum(0) > 0).all()  # no band is deaf
    window = np.hanning(spectrum.window + 1)[:-1]
    for k in range(front_end.frames):
        end = k * front_end.hop * spectrum.rate // 100
        frame = np.concatenate([np.zeros(spectrum.window), samples])[end : end + spectrum.window]
        power = np.abs(np.fft.rfft(frame * window)) ** 2 @ wide
        np.testing.assert_allclose(derived[:, k], np.log(power.clip(1e-9)), atol=2e-3)


def test_another_space_has_another_name(monkeypatch):
    before = space_version()
    assert before == space_version()
    monkeypatch.setitem(SPACE, "hidden", range(4, 34))
    assert space_version() != before


def test_the_minimal_gated_unit_by_its_equations():
    torch.manual_seed(0)
    model = CRNN(CRNNConfig(rnn="mgu", hidden=5, layers=1)).eval()
    layer = model.recurrent[0]
    x = torch.randn(1, 4, layer.input.in_features)
    weight, bias = layer.input.weight, layer.input.bias
    state = torch.zeros(5)
    for step, out in zip(x[0], layer(x)[0][0], strict=True):
        forget = torch.sigmoid(weight[:5] @ step + bias[:5] + layer.gate.weight @ state)
        new = torch.tanh(weight[5:] @ step + bias[5:] + layer.candidate.weight @ (forget * state))
        state = (1 - forget) * state + forget * new
        torch.testing.assert_close(out, state)


def test_a_minimal_gated_unit_costs_two_thirds_of_a_gru():
    costs = {}
    for rnn in ("gru", "mgu"):
        rest = CRNNConfig(rnn=rnn, hidden=6, layers=1)
        without = CRNNConfig(rnn=rnn, hidden=6, layers=2)
        costs[rnn] = count_macs_exactly(CRNN(without)) - count_macs_exactly(CRNN(rest))
    assert costs["mgu"] * 3 == costs["gru"] * 2
