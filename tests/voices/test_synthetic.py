import numpy as np
import pytest
import soundfile
import torch

from kws.data.audio import to_float
from kws.data.corpus import CorpusError, load_clips
from kws.voices.espeak import Espeak
from kws.voices.synthetic import SyntheticConfig, similar_words, synthetic_corpus

SMALL = SyntheticConfig(clips=90, speakers=20)


@pytest.fixture(scope="module")
def sheila(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic")
    return folder, synthetic_corpus("sheila", folder, SMALL, progress=False)


def test_it_has_the_shape_of_speech_commands(sheila):
    _, corpus = sheila
    assert len(corpus.clips) == 90
    assert corpus.words["sheila"] > 5
    assert sum(word.startswith("like_sheila") for word in corpus.words) > 3
    assert len(corpus.noise_paths) == 6
    assert 10 < len(corpus.speakers) <= 20
    _, waveforms, _ = load_clips(corpus, progress=False)
    loudness = 20 * torch.log10(to_float(waveforms).square().mean(1).sqrt())
    assert loudness.min() > -36
    assert loudness.max() < -14


def test_same_seed_same_sound(sheila, tmp_path):
    _, corpus = sheila
    again = synthetic_corpus("sheila", tmp_path, SMALL, progress=False)
    other = synthetic_corpus("sheila", tmp_path, SyntheticConfig(clips=90, speakers=20, seed=1), progress=False)
    assert [c.name for c in again.clips] == [c.name for c in corpus.clips]
    assert torch.equal(load_clips(again, False)[1], load_clips(corpus, False)[1])
    assert [c.name for c in other.clips] != [c.name for c in corpus.clips]


def test_it_is_made_once(sheila, monkeypatch):
    folder, corpus = sheila
    monkeypatch.setattr("kws.voices.find.synthetic._clips", lambda *_: pytest.fail("made again"))
    assert synthetic_corpus("Sheila ", folder, SMALL, progress=False).clips == corpus.clips


def test_an_interrupted_making_starts_anew(sheila, tmp_path, monkeypatch):
    real = soundfile.write
    written = []

    def stop(path, *rest):
        if len(written) == 30:
            raise KeyboardInterrupt
        written.append(path)
        real(path, *rest)

    monkeypatch.setattr("soundfile.write", stop)
    with pytest.raises(KeyboardInterrupt):
        synthetic_corpus("sheila", tmp_path, SMALL, progress=False)
    monkeypatch.undo()
    assert len(synthetic_corpus("sheila", tmp_path, SMALL, progress=False).clips) == 90
    assert len(list(tmp_path.iterdir())) == 1


def test_any_keyword(tmp_path):
    corpus = synthetic_corpus("hey computer", tmp_path, SMALL, progress=False)
    assert corpus.labels("hey_computer").sum() > 5
    assert "two" not in _clips_words(tmp_path, "too")  # a homophone would be the keyword under another label
    assert len(_clips_words(tmp_path, "air")) > 10  # no phoneme of it has a similar one


def _clips_words(folder, keyword):
    return synthetic_corpus(keyword, folder, SyntheticConfig(clips=200, speakers=9), progress=False).words


@pytest.mark.parametrize(
    ("keyword", "message"),
    [
        ("", "cannot say"),
        ("!!!", "cannot say"),
        ("../up", "cannot say"),
        ("東京", "cannot say"),
        ("supercalifragilisticexpialidocious", "take a shorter one"),
    ],
)
def test_impossible_keywords(tmp_path, keyword, message):
    with pytest.raises(CorpusError, match=message):
        synthetic_corpus(keyword, tmp_path, SMALL, progress=False)


@pytest.mark.parametrize("swaps", [1, 2])
def test_similar_words_differ_in_so_many_phonemes(swaps):
    phonemes = Espeak().phonemes("sheila")
    assert [p.strip("'") for p in phonemes] == ["S", "i:", "l", "@"]
    words = similar_words(phonemes, 8, swaps, np.random.default_rng(0))
    assert len({tuple(word) for word in words}) == 8
    for word in words:
        assert sum(a != b for a, b in zip(word, phonemes, strict=True)) == swaps
        assert word[1].startswith("'")  # the stress stays


def test_unknown_voice():
    with pytest.raises(ValueError, match="no voice 'xx\\+f1'"):
        Espeak().say(["S"], "xx+f1", 160, 50, 50)
