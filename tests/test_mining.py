"""Mined scenes are the hardest of the candidates, found by brute force, and join the training scenes as scenes without the keyword."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kws import mining
from kws.data import decode
from kws.mining import add_hardest, hardest
from kws.model import CRNN, CRNNConfig
from kws.scenes import SceneConfig, sounds_of
from kws.split import speaker_split
from kws.stream_training import log_mels_of, stream_data, teach_stream
from kws.streaming import StreamingCRNN

CONFIG = SceneConfig(seconds=1.5)
SHAPE = CRNNConfig(pool=(2, 5), channels=4, kernel=(6, 4), stride=(3, 2), hidden=8, layers=1)


@pytest.fixture
def material(tone_corpus, tmp_path):
    clips = decode(tone_corpus)
    split = speaker_split(clips.corpus, "high")
    noises = [(1000 * torch.randn(48_000, generator=torch.Generator().manual_seed(0))).to(torch.int16)]
    sounds = {subset: sounds_of(clips, "high", split[subset], noises) for subset in ("train", "validation")}
    torch.manual_seed(0)
    return CRNN(SHAPE).eval(), sounds["train"], stream_data(clips, "high", split, sounds, 96, 32, CONFIG)


@torch.no_grad()
def scores(model, log_mel):
    return torch.softmax(StreamingCRNN(model).whole(log_mel.float()), 2)[..., 1].amax(1)


def test_the_hardest_are_found(material, monkeypatch):
    model, sounds, _ = material
    without = replace(CONFIG, no_keyword=1.0)
    all_of_them = torch.cat(
        [log_mel for log_mel, _ in log_mels_of(sounds, 300, without, np.random.default_rng([5, 2]))]
    )
    every = scores(model, all_of_them)
    for at_once in (1, 2, 100):  # however many are held at a time
        monkeypatch.setattr(mining, "AT_ONCE", at_once)
        found = hardest(model, sounds, 300, 20, without, seed=5)
        assert torch.equal(found, all_of_them[every.sort(descending=True, stable=True).indices[:20]])


def test_they_join_as_scenes_without_the_keyword(material, tmp_path, monkeypatch):
    model, sounds, data = material
    more = add_hardest(data, model, sounds, 100, 10, CONFIG, seed=1, cache=tmp_path)
    assert len(more.split.train) == 106
    assert more.views.shape == (1, 106, *data.views.shape[2:])
    assert torch.equal(more.views[:, :96], data.views)
    new = torch.from_numpy(more.split.train[96:])
    assert not more.labels[new].any()
    assert torch.equal(more.labels[: len(data.labels)], data.labels)
    assert more.split.fingerprint == data.split.fingerprint
    assert teach_stream([model], more).logits.shape[0] == 106
    twice = add_hardest(more, model, sounds, 50, 5, CONFIG, seed=2, cache=tmp_path)
    assert len(twice.split.train) == 111
    assert len({data.key, more.key, twice.key}) == 3

    monkeypatch.setattr(mining, "hardest", None)  # from the cache
    assert torch.equal(add_hardest(data, model, sounds, 100, 10, CONFIG, seed=1, cache=tmp_path).views, more.views)
    with pytest.raises(TypeError):  # another model: to be made again
        add_hardest(data, CRNN(SHAPE), sounds, 100, 10, CONFIG, seed=1, cache=tmp_path)


def test_more_to_keep_than_there_are(material):
    model, sounds, data = material
    with pytest.raises(ValueError, match="cannot keep 11 of 10"):
        add_hardest(data, model, sounds, 10, 11)
