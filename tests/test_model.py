import pytest
import torch

from kws import CRNN, CRNNConfig, count_macs, score
from kws.cost import count_macs_exactly, count_parameters
from kws.model import ConfigError


def test_base_is_the_published_one():
    model = CRNN()
    assert count_parameters(model) == 25_387
    assert count_macs(model) == 432_672
    assert set(model.state_dict()) == set(CRNN().state_dict())  # thop left nothing behind


@pytest.mark.parametrize("rnn", ["gru", "rnn"])
@pytest.mark.parametrize("seconds", [1.0, 2.5])
def test_thop_agrees_with_the_exact_count(rnn, seconds):
    """The matrix products agree exactly; thop adds the cells' biases, gates and sums: 13 per unit of a GRU, 3 of an RNN."""
    model = CRNN(CRNNConfig(rnn=rnn))
    steps = (int(seconds * 100) + 1 - 20) // 8 + 1
    gates = {"gru": 3, "rnn": 1}[rnn]
    convolution = 8 * 18 * steps * 100
    recurrent = steps * gates * 32 * ((144 + 32) + (32 + 32))
    attention = steps * (32 * 32 + 32)
    assert count_macs_exactly(model, seconds) == convolution + recurrent + attention + 64
    element_wise = steps * 2 * 32 * {"gru": 13, "rnn": 3}[rnn]
    assert count_macs(model, seconds) == count_macs_exactly(model, seconds) + element_wise


CONFIGS = [
    CRNNConfig(channels=3, stride=(5, 8), rnn="rnn", hidden=20),
    CRNNConfig(
        channels=4,
        kernel=(6, 4),
        stride=(3, 2),
        pool=(2, 5),
        norm=True,
        relu=True,
        hidden=12,
        layers=1,
        attention="linear",
    ),
    CRNNConfig(separable=True),
    CRNNConfig(separable=True, norm=True, relu=True, attention="linear", rnn="rnn", layers=3),
    CRNNConfig(pool=(1, 2), kernel=(4, 5), deeper=((5, (3, 2), (2, 1)), (6, (2, 2), (1, 1))), norm=True),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_other_shapes(config):
    model = CRNN(config).eval()
    log_mel = torch.randn(5, 40, 101)
    logits = model(log_mel)
    assert logits.shape == (5, 2)
    torch.testing.assert_close(model(log_mel[2:3]), logits[2:3])  # clips of a batch do not touch each other
    assert count_macs(model) > 0
    assert model(log_mel[..., : config.least_frames]).shape == (5, 2)


def test_what_steps_of_deep_convolutions_hear():
    """Of frames in a row, only those that the config says move a step, and each step is so many frames after the last."""
    config = CRNNConfig(pool=(2, 2), channels=3, kernel=(5, 5), stride=(2, 2), deeper=((4, (3, 3), (2, 3)),))
    assert (config.bands, config.width, config.least_frames, config.step_frames) == (3, 12, 18, 12)
    model = CRNN(config).eval()
    log_mel = torch.randn(1, 40, 60, requires_grad=True)
    steps = model.convolution(model.pool(log_mel.unsqueeze(1)))
    assert steps.shape == (1, 4, config.bands, (60 - 18) // 12 + 1)
    for step in range(steps.shape[3]):
        (slope,) = torch.autograd.grad(steps[..., step].sum(), log_mel, retain_graph=True)
        heard = slope.abs().sum((0, 1)).nonzero().flatten().tolist()
        assert heard == list(range(12 * step, 12 * step + 18))


def test_attention_is_a_weighted_mean():
    """With an energy that sees nothing it is the mean over the steps; otherwise weights are the softmax of the energies."""
    attention, x = CRNN().attention, torch.randn(4, 11, 32)
    energy = attention.energy(x)[..., 0].exp()
    weights = energy / energy.sum(1, keepdim=True)
    torch.testing.assert_close(attention(x), torch.einsum("bs,bsh->bh", weights, x))
    attention.energy[2].weight.data.zero_()
    torch.testing.assert_close(attention(x), x.mean(1))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rnn": "lstm"}, "rnn is 'lstm'"),
        ({"attention": "none"}, "attention is 'none'"),
        ({"hidden": 0}, "positive"),
        ({"std": 0.0}, "positive"),
        ({"pool": (10, 1)}, "kernel of 5 bands is wider than the 4 bands"),
        ({"deeper": ((4, (3, 3), (0, 1)),)}, "positive"),
        ({"deeper": ((4, (3, 3), (2, 1)), (4, (9, 1), (1, 1)))}, "kernel of 9 bands is wider than the 8 bands"),
    ],
)
def test_impossible_configs(fields, message):
    with pytest.raises(ConfigError, match=message):
        CRNNConfig(**fields)


@pytest.mark.parametrize("shape", [(40, 101), (1, 39, 101), (1, 40, 19), (1, 1, 40, 101)])
def test_wrong_log_mel(shape):
    with pytest.raises(ValueError, match="takes a log-mel of shape"):
        CRNN()(torch.zeros(shape))


def test_score():
    assert score(12.045, 8.507) == pytest.approx(6.477, abs=5e-4)  # the published best student
    assert score(25, 25) == pytest.approx(7.0)
    assert score(1, 1) == pytest.approx(0.7)
    with pytest.raises(ValueError, match="positive"):
        score(0, 1)
    with pytest.raises(ValueError, match="positive"):
        score(1, float("nan"))
