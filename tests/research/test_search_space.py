"""What a search may choose: every choice is a network, its front end is that of a direct computation, and costs are those of formulas."""

import math
import random
from dataclasses import asdict

import pytest
import torch

from kws.checkpoint import Provenance, save_model
from kws.compress import fold_batch_norm
from kws.cost import count_macs_exactly, size_in_bytes
from kws.data.audio import SAMPLE_RATE
from kws.features import LogMel
from kws.model import CRNN, CRNNConfig, build
from kws.research import networks
from kws.research.search_space import (
    BEYOND,
    CHEAPEST,
    SPACE,
    SPECTRA,
    STARTS,
    FrontEnd,
    Logarithmic,
    candidate,
    space_version,
)
from kws.research.whole_cost import front_end_multiplications, whole_cost
from kws.streaming.network import StreamingCRNN

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
    assert asdict(found.network).items() >= asdict(networks.BEYOND).items()
    assert found.network.spectrum == networks.BEYOND.spectrum
    assert (found.distill, found.learning_rate) == (networks.FROM_RANKING, 1e-2)
    network = CRNN(networks.BEYOND)
    assert found.multiplications() == whole_cost(network, 0).multiplications
    for start in STARTS:
        assert start.keys() == SPACE.keys()


def test_every_choice_is_a_network_and_none_is_cheaper():
    least = candidate(CHEAPEST).multiplications()
    for chosen in draws(30) + extremes():
        found = candidate(chosen)
        assert found.multiplications() >= least, chosen
        model, frames = build(found.network).eval(), found.front_end.frames.frames_in(SAMPLE_RATE)
        assert model(torch.zeros(2, found.front_end.bands, frames)).shape == (2, 2)
        StreamingCRNN(model)


def test_bytes_are_those_of_the_file(tmp_path):
    found = candidate(BEYOND)
    model = fold_batch_norm(build(found.network).eval())
    save_model(tmp_path / "m.pt", model, Provenance("", "", "", "", 0, 0, {}), "int8", packed=True)
    assert found.bytes() == size_in_bytes(tmp_path / "m.pt")


def hertz(mel: float) -> float:
    return 700 * (10 ** (mel / 2595) - 1)


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=str)
def test_the_cost_of_a_front_end(front_end):
    """By the edges of the triangles alone: a bin counts once for each band within whose edges it lies."""
    spectrum, bands = SPECTRA[front_end.spectrum]
    n, highest = spectrum.window, 2595 * math.log10(1 + spectrum.rate / 2 / 700)
    edges = [hertz(highest * i / (bands + 1)) for i in range(bands + 2)]
    values = 0
    for band in range(0, bands, front_end.merged):
        low, high = edges[band], edges[band + front_end.merged + 1]
        values += sum(low < i * spectrum.rate / n < high for i in range(n // 2 + 1))
    frame, count = n + n * math.log2(n) + (n + 2) + values + bands / front_end.merged, 100 // front_end.hop + 1
    counted = sum(front_end_multiplications(front_end.frames, front_end.bands, count))
    assert counted == pytest.approx(frame * count, abs=2 + 2 * 100 / front_end.hop)


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=str)
def test_what_is_derived_is_what_the_detector_hears(front_end):
    """A trial learns from frames that are left out of those of its spectrum; the detector makes no others."""
    spectrum, bands = SPECTRA[front_end.spectrum]
    waveform = 0.1 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))
    derived = front_end.derive(LogMel(bands, spectrum)(waveform))
    torch.testing.assert_close(derived, LogMel(front_end.bands, front_end.frames)(waveform), atol=2e-3, rtol=0)
    assert derived.shape == (2, bands // front_end.merged, 100 // front_end.hop + 1)
    assert (front_end.frames.bands(front_end.bands).sum(0) > 0).all()  # no band is deaf


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
