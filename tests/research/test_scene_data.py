"""Scenes to train streams on: named by all that they hang on, kept in a cache, joined by fresh ones."""

from dataclasses import replace

import pytest
import torch
from conftest import high_and_low, tone_scenes

from kws.features import frames_in
from kws.research import scene_data as module
from kws.research.scene_data import Maker, add_scenes, scene_data, sounds_digest
from kws.research.speech_embedding import SpeechEmbedding, embedded_steps
from kws.scenes import SceneConfig


def new_embedding(seed: int = 0) -> SpeechEmbedding:
    torch.manual_seed(seed)
    return SpeechEmbedding().eval()


def test_scenes_have_a_label_for_every_frame(tone_corpus):
    data, _ = tone_scenes(tone_corpus, 70, 8)
    frames = frames_in(32_000)
    for scenes, count in ((data.train, 70), (data.validation, 8)):
        assert scenes.log_mel.shape == (count, 40, frames)
        assert scenes.log_mel.dtype == torch.float16
        assert scenes.labels.shape == (count, frames)
        assert scenes.embedded.shape == (count, 0, 0)
    assert not torch.equal(data.train.log_mel[:8], data.validation.log_mel)


def test_another_keyword_sound_number_or_manner_makes_other_scenes(tone_corpus):
    clips, split, sounds = high_and_low(tone_corpus)
    config = SceneConfig(seconds=1.0)

    def key(keyword: str = "high", sounds=sounds, counts=(2, 2), config=config, embedding=None, seed=0) -> str:
        return scene_data(clips.corpus, keyword, split, Maker(sounds, config, embedding), *counts, seed).key

    louder = {name: replace(some, noises=[noise + 1 for noise in some.noises]) for name, some in sounds.items()}
    others = [key("low"), key(sounds=louder), key(counts=(3, 2)), key(counts=(2, 3)), key(seed=1)]
    others += [key(config=SceneConfig(seconds=1.5)), key(embedding=new_embedding()), key(embedding=new_embedding(1))]
    assert key() == key()
    assert len({key(), *others}) == 1 + len(others)


def test_where_a_word_lies_is_part_of_its_sound(tone_corpus):
    _, _, sounds = high_and_low(tone_corpus)
    one = sounds["train"]
    moved = replace(one, keywords=[replace(one.keywords[0], start=one.keywords[0].start + 1), *one.keywords[1:]])
    assert sounds_digest(one) == sounds_digest(replace(one))
    assert sounds_digest(one) != sounds_digest(moved)


def test_they_are_kept(tone_corpus, tmp_path, monkeypatch):
    first, maker = tone_scenes(tone_corpus, cache=tmp_path)
    more = add_scenes(first, maker, 20)
    monkeypatch.setattr(module, "batches_of", None)  # from the cache
    again, maker = tone_scenes(tone_corpus, cache=tmp_path)
    for mine, theirs in zip(again.train + again.validation, first.train + first.validation, strict=True):
        assert torch.equal(mine, theirs)
    assert add_scenes(again, maker, 20).key == more.key
    with pytest.raises(TypeError):  # others are to be made
        add_scenes(again, maker, 21)
    with pytest.raises(TypeError):
        tone_scenes(tone_corpus, 95, cache=tmp_path)


def test_fresh_scenes_join_those_that_were_there(tone_corpus):
    first, maker = tone_scenes(tone_corpus, 32, 2, SceneConfig())
    more = add_scenes(first, maker, 64)
    assert len(more.train.labels) == 32 + 64
    assert torch.equal(more.train.log_mel[:32], first.train.log_mel)
    assert torch.equal(more.train.labels[:32], first.train.labels)
    assert (more.train.labels[32:] == 1).any(1).sum() > 64 / 3  # many hold the keyword
    at_first = {row.numpy().tobytes() for row in first.train.log_mel}
    assert not any(row.numpy().tobytes() in at_first for row in more.train.log_mel[32:])
    assert torch.equal(more.validation.log_mel, first.validation.log_mel)
    two = add_scenes(first, maker, 2)
    others = (first, more, add_scenes(first, maker, 2, seed=1), add_scenes(two, maker, 2))
    assert len({two.key, *(other.key for other in others)}) == 5


def test_an_embedding_hears_them_and_changes_nothing_else(tone_corpus):
    embedding = new_embedding()
    data, maker = tone_scenes(tone_corpus, 8, 4, embedding=embedding)
    plain, _ = tone_scenes(tone_corpus, 8, 4)
    assert torch.equal(plain.train.log_mel, data.train.log_mel)
    assert torch.equal(plain.train.labels, data.train.labels)
    steps = len(embedded_steps(data.train.labels.shape[1]))
    assert data.train.embedded.shape == (8, 96, steps)
    assert add_scenes(data, maker, 5).train.embedded.shape == (13, 96, steps)
    assert data.train.heard("log_mel") is data.train.log_mel
    assert data.train.heard("embedded") is data.train.embedded
    with pytest.raises(ValueError, match="without an embedding"):
        plain.train.heard("embedded")
