"""Mined scenes are the hardest of the candidates, found by brute force, and join the training scenes as scenes without the keyword."""

from dataclasses import replace

import pytest
import torch
from conftest import STEPS, MeanEmbedding, tone_scenes

from kws.model import CRNN
from kws.research import mining
from kws.research.mining import add_hardest, hardest
from kws.research.stream_targets import teach_stream
from kws.research.stream_teacher import StreamTeacher, StreamTeacherConfig
from kws.scenes import SceneConfig, batches_of
from kws.streaming import StreamingCRNN

CONFIG = SceneConfig(seconds=1.5)
WITHOUT = replace(CONFIG, no_keyword=1.0)


@pytest.fixture(scope="module")
def material(tone_corpus, tmp_path_factory):
    """A scout, what makes scenes without the keyword, and scenes."""
    data, maker = tone_scenes(tone_corpus, 96, 32, CONFIG, cache=tmp_path_factory.mktemp("cache"))
    torch.manual_seed(0)
    return CRNN(STEPS).eval(), maker, data


@pytest.fixture(scope="module")
def without(material):
    return replace(material[1], config=WITHOUT)


@torch.no_grad()
def scores(model, log_mel):
    return torch.softmax(StreamingCRNN(model).whole(log_mel.float()), 2)[..., 1].amax(1)


def candidates(maker, count):
    return torch.cat([log_mel for log_mel, _, _ in batches_of(maker.sounds["train"], count, WITHOUT, (5, 2))])


def best_of(p, count):
    return p.sort(descending=True, stable=True).indices[:count].sort().values


def test_the_hardest_are_found_though_few_are_held_at_a_time(material, without, monkeypatch):
    model, *_ = material
    all_of_them = candidates(without, 192)
    best = best_of(scores(model, all_of_them), 20)
    monkeypatch.setattr(mining, "AT_ONCE", 2)
    found, embedded = hardest([model], without, 192, 20, seed=5)
    assert torch.equal(found, all_of_them[best])
    assert embedded.shape == (20, 0, 0)


def test_each_scout_keeps_its_own_and_none_is_kept_twice(material, without):
    model, *_ = material
    torch.manual_seed(1)
    other = CRNN(STEPS).eval()
    all_of_them = candidates(without, 100)
    best = [best_of(scores(scout, all_of_them), 20) for scout in (model, other)]
    found, _ = hardest([model, other], without, 100, 20, seed=5)
    assert torch.equal(found, all_of_them[torch.cat(best).unique()])
    assert torch.equal(hardest([model, model], without, 100, 20, seed=5)[0], all_of_them[best[0]])


def test_scouts_that_hear_through_an_embedding(material, without):
    model, *_ = material
    torch.manual_seed(0)
    embedding, scout = MeanEmbedding(), StreamTeacher(StreamTeacherConfig(width=8, layers=1)).eval()
    batches = list(batches_of(without.sounds["train"], 40, WITHOUT, (5, 2), embedding))
    log_mel, _, embedded = (torch.cat(parts) for parts in zip(*batches, strict=True))
    with torch.no_grad():
        p = torch.softmax(scout.whole(embedded.float()), 2)[..., 1].amax(1)
    heard = replace(without, embedding=embedding)
    best = best_of(p, 4)
    assert torch.equal(hardest([scout], heard, 40, 4, 5)[1], embedded[best])
    both = torch.cat([best, best_of(scores(model, log_mel), 4)]).unique()
    for found, wanted in zip(hardest([scout, model], heard, 40, 4, 5), (log_mel, embedded), strict=True):
        assert torch.equal(found, wanted[both])
    with pytest.raises(ValueError, match="without an embedding"):
        hardest([scout], without, 40, 4, 5)


def test_they_join_as_scenes_without_the_keyword(material, monkeypatch):
    model, maker, data = material
    more = add_hardest(data, [model], maker, 100, 10, seed=1)
    assert more.train.log_mel.shape == (106, *data.train.log_mel.shape[1:])
    assert torch.equal(more.train.log_mel[:96], data.train.log_mel)
    assert torch.equal(more.train.log_mel[96:], hardest([model], replace(maker, config=WITHOUT), 100, 10, 1)[0])
    assert not more.train.labels[96:].any()
    assert torch.equal(more.train.labels[:96], data.train.labels)
    assert torch.equal(more.validation.labels, data.validation.labels)
    assert more.split is data.split
    assert teach_stream([model], more).logits.shape[0] == 106
    twice = add_hardest(more, [model], maker, 50, 5, seed=2)
    assert len(twice.train.labels) == 111
    assert len({data.key, more.key, twice.key}) == 3

    monkeypatch.setattr(mining, "hardest", None)  # from the cache
    again = add_hardest(data, [model], maker, 100, 10, seed=1)
    assert torch.equal(again.train.log_mel, more.train.log_mel)
    with pytest.raises(TypeError):  # another model: to be made again
        add_hardest(data, [CRNN(STEPS)], maker, 100, 10, seed=1)


def test_more_to_keep_than_there_are(material):
    model, maker, data = material
    with pytest.raises(ValueError, match="cannot keep 11 of 10"):
        add_hardest(data, [model], maker, 10, 11)
    with pytest.raises(ValueError, match="cannot keep 0 of 10"):
        add_hardest(data, [model], maker, 10, 0)
