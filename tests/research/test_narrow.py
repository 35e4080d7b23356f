"""A narrower network is the wider one where that has nothing to lose."""

from dataclasses import replace

import pytest
import torch
from conftest import STEPS

from kws.model import CRNN, CRNNConfig
from kws.research.narrow import narrowed
from kws.research.stepwise import stepwise

DEEP = replace(
    STEPS, deeper=((5, (3, 3), (1, 1)), (6, (2, 2), (1, 1))), norm=True, relu=True, attention="linear", layers=2
)
ONE = replace(STEPS, rnn="rnn", attention="linear")


def network(config: CRNNConfig, seed: int = 0) -> CRNN:
    torch.manual_seed(seed)
    model = CRNN(config).eval()
    for name, tensor in model.state_dict().items():
        if "running" in name:
            tensor.copy_(torch.rand_like(tensor) + 0.5)
    return model


def log_mel(seed: int = 1) -> torch.Tensor:
    return 5 * torch.randn(4, 40, 200, generator=torch.Generator().manual_seed(seed)) - 7


@torch.no_grad()
def said(model: CRNN, seed: int = 2) -> torch.Tensor:
    return stepwise(model).whole(log_mel(seed))


def doubled(model: CRNN) -> CRNN:
    """The same function with each channel and unit there twice, and read by halves."""
    config = model.config
    wide = replace(
        config,
        channels=2 * config.channels,
        deeper=tuple((2 * channels, kernel, stride) for channels, kernel, stride in config.deeper),
        hidden=2 * config.hidden,
    )
    twice = CRNN(wide).eval()
    for (name, new), old in zip(twice.state_dict().items(), model.state_dict().values(), strict=True):
        if new.shape == old.shape:
            new.copy_(old)
            continue
        if "weight_ih_l0" in name or "weight_hh_l0" in name:
            old = old.unflatten(0, (-1, config.hidden))  # gates apart
            if "weight_ih_l0" in name and name.startswith("recurrent.0"):
                old = old.unflatten(2, (-1, config.bands)).repeat(1, 2, 2, 1) / 2
            else:
                old = old.repeat(1, 2, 2) / 2
        elif name.startswith("recurrent"):
            old = old.unflatten(0, (-1, config.hidden)).repeat(1, 2)
        elif name.startswith(("attention", "classifier")):
            old = old.repeat(1, 2) / 2
        elif old.dim() == 4 and old.shape[1] > 1:
            old = old.repeat(2, 2, 1, 1) / 2
        else:
            old = old.repeat(2, *[1] * (old.dim() - 1))
        new.copy_(old.reshape(new.shape))
    return twice


@pytest.mark.parametrize("config", [DEEP, ONE], ids=["deep", "one"])
def test_what_was_there_twice_is_there_once_and_nothing_is_lost(config):
    model = network(config)
    twice = doubled(model)
    torch.testing.assert_close(said(twice), said(model))
    narrow = narrowed(twice, config, log_mel())
    assert narrow.config == config
    torch.testing.assert_close(said(narrow), said(model), atol=1e-4, rtol=1e-4)


def test_of_the_same_widths_it_is_the_same():
    model = network(DEEP)
    torch.testing.assert_close(said(narrowed(model, DEEP, log_mel())), said(model), atol=1e-5, rtol=1e-5)


def test_what_is_left_out_is_made_up_for():
    """Nearer to the whole network than the same weights cut out of it."""
    model = network(replace(DEEP, hidden=24))
    narrow = narrowed(model, replace(DEEP, hidden=16), log_mel())
    cut = CRNN(replace(DEEP, hidden=16)).eval()
    for name, tensor in cut.state_dict().items():
        whole = model.state_dict()[name]
        if name.startswith("recurrent"):
            whole = whole.unflatten(0, (3, 24))[:, :16].flatten(0, 1)
        tensor.copy_(whole[tuple(slice(size) for size in tensor.shape)])
    wanted = said(model)
    assert (said(narrow) - wanted).square().mean() < 0.5 * (said(cut) - wanted).square().mean()


@pytest.mark.parametrize("change", [{"kernel": (5, 4)}, {"rnn": "rnn"}, {"layers": 1}, {"norm": False}])
def test_another_kind_of_network_is_refused(change):
    with pytest.raises(ValueError, match="cannot be narrowed"):
        narrowed(network(DEEP), replace(DEEP, **change), log_mel())
