"""The whole detector counted: each part by hand, and the committed networks."""

import math

import pytest
import torch
from conftest import WEIGHTS

import kws
from kws.cost import count_macs_exactly
from kws.features import LogMel
from kws.model import CRNN, CRNNConfig
from kws.research.networks import BEYOND
from kws.research.tc_resnet import TCResNet
from kws.research.whole_cost import whole_cost


def test_each_part_is_what_it_is_by_hand():
    found = whole_cost(CRNN(BEYOND), 2000)
    assert found.window == 101 * 400
    assert found.fourier == round(101 * 400 * math.log2(400)) == 349_212
    assert found.power == 101 * 2 * 201
    assert found.log == 101 * 40
    assert found.pooling == (40 // 3) * (101 // 4)
    assert found.network == count_macs_exactly(CRNN(BEYOND))
    assert found.window_bytes == 1600
    assert found.front_end == found.window + found.fourier + found.power + found.mel + found.log
    assert found.multiplications == found.front_end + found.pooling + found.network
    assert found.bytes == 2000 + found.mel_bytes + 1600


def test_the_mel_is_counted_sparse():
    """Between the middles of the first and of the last band each bin is in two bands, outside in one."""
    bands = LogMel().mel.mel_scale.fb
    weights = sum(int((band != 0).sum()) for band in bands.T)
    found = whole_cost(CRNN(), 0)
    assert found.mel == 101 * weights
    assert found.mel_bytes == 4 * weights + 2 * 40
    touched = int((bands != 0).any(1).sum())
    assert touched < weights <= 2 * touched


def test_the_turns_of_the_transform_come_from_the_window():
    turns = torch.cos(2 * torch.pi * torch.arange(400).double() / 400)
    torch.testing.assert_close(1 - 2 * LogMel().mel.spectrogram.window.double(), turns, atol=1e-6, rtol=0)


def test_without_pooling_none_is_counted_and_the_model_is_left_as_it_was():
    model = CRNN()
    assert whole_cost(model, 0).pooling == 0
    assert whole_cost(TCResNet(), 0).pooling == 0
    pooled = CRNN(BEYOND)
    whole_cost(pooled, 0)
    assert pooled.training
    assert not pooled.pool._forward_hooks


def test_other_front_ends_and_seconds():
    narrow = whole_cost(CRNN(CRNNConfig(n_mels=20)), 0)
    assert narrow.log == 101 * 20
    assert whole_cost(CRNN(), 0, seconds=2.0).window == 201 * 400
    with pytest.raises(ValueError, match="seconds must be positive"):
        whole_cost(CRNN(), 0, seconds=0)


def test_the_front_end_costs_more_than_any_student():
    for name in ("gru_small", "rnn_int8", "beyond"):
        found = whole_cost(kws.load_model(WEIGHTS / f"{name}.pt"), 0)
        assert found.front_end > 2 * found.network
