"""Mined scenes are the hardest of the candidates, found by brute force, and join the training scenes as scenes without the keyword."""

from dataclasses import replace

import pytest
import torch
from kws.research.stream_training import stream_data, teach_stream

from kws.model import CRNN, CRNNConfig
from kws.research import mining
from kws.research.mining import add_hardest, hardest
from kws.research.speech_embedding import SpeechEmbedding
from kws.research.stream_teacher import StreamTeacher, StreamTeacherConfig
from kws.scenes import SceneConfig, batches_of, sounds_of
from kws.split import speaker_split
from kws.streaming import StreamingCRNN
from kws.views import decode

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
    all_of_them = torch.cat([log_mel for log_mel, _, _ in batches_of(sounds, 300, without, (5, 2))])
    best = scores(model, all_of_them).sort(descending=True, stable=True).indices[:20]
    for at_once in (2, 100):  # however many are held at a time
        monkeypatch.setattr(mining, "AT_ONCE", at_once)
        found, embedded = hardest([model], sounds, 300, 20, without, seed=5)
        assert torch.equal(found, all_of_them[best.sort().values])
        assert embedded.shape == (20, 0, 0)


def test_each_scout_keeps_its_own_and_none_is_kept_twice(material):
    model, sounds, _ = material
    torch.manual_seed(1)
    other, without = CRNN(SHAPE).eval(), replace(CONFIG, no_keyword=1.0)
    all_of_them = torch.cat([log_mel for log_mel, _, _ in batches_of(sounds, 200, without, (5, 2))])
    best = [scores(scout, all_of_them).sort(descending=True, stable=True).indices[:20] for scout in (model, other)]
    found, _ = hardest([model, other], sounds, 200, 20, without, seed=5)
    assert torch.equal(found, all_of_them[torch.cat(best).unique()])
    assert torch.equal(hardest([model, model], sounds, 200, 20, without, seed=5)[0], all_of_them[best[0].sort().values])


def test_a_scout_that_hears_through_an_embedding(material):
    _, sounds, _ = material
    torch.manual_seed(0)
    embedding, scout = SpeechEmbedding().eval(), StreamTeacher(StreamTeacherConfig(width=8, layers=1)).eval()
    without = replace(CONFIG, no_keyword=1.0)
    embedded = torch.cat([some for _, _, some in batches_of(sounds, 40, without, (5, 2), embedding)])
    with torch.no_grad():
        p = torch.softmax(scout.whole(embedded.float()), 2)[..., 1].amax(1)
    found = hardest([scout], sounds, 40, 4, without, 5, embedding)[1]
    assert torch.equal(found, embedded[p.sort(descending=True, stable=True).indices[:4].sort().values])


def test_they_join_as_scenes_without_the_keyword(material, tmp_path, monkeypatch):
    model, sounds, data = material
    more = add_hardest(data, [model], sounds, 100, 10, CONFIG, seed=1, cache=tmp_path)
    assert len(more.split.train) == 106
    assert more.views.shape == (1, 106, *data.views.shape[2:])
    assert torch.equal(more.views[:, :96], data.views)
    new = torch.from_numpy(more.split.train[96:])
    assert not more.labels[new].any()
    assert torch.equal(more.labels[: len(data.labels)], data.labels)
    assert more.split.fingerprint == data.split.fingerprint
    assert teach_stream([model], more).logits.shape[0] == 106
    twice = add_hardest(more, [model], sounds, 50, 5, CONFIG, seed=2, cache=tmp_path)
    assert len(twice.split.train) == 111
    assert len({data.key, more.key, twice.key}) == 3

    monkeypatch.setattr(mining, "hardest", None)  # from the cache
    assert torch.equal(add_hardest(data, [model], sounds, 100, 10, CONFIG, seed=1, cache=tmp_path).views, more.views)
    with pytest.raises(TypeError):  # another model: to be made again
        add_hardest(data, [CRNN(SHAPE)], sounds, 100, 10, CONFIG, seed=1, cache=tmp_path)


def test_more_to_keep_than_there_are(material):
    model, sounds, data = material
    with pytest.raises(ValueError, match="cannot keep 11 of 10"):
        add_hardest(data, [model], sounds, 10, 11)
