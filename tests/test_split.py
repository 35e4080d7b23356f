from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kws.data.corpus import Clip, Corpus, CorpusError, folder_corpus
from kws.split import SplitMismatch, check_no_leak, published_split, require_split, shared_speakers, speaker_split


def corpus_of(clips: int = 500, speakers: int = 61, suffix: str = "wav") -> Corpus:
    made = []
    for i in range(clips):
        word, speaker = ("yes" if i % 5 == 0 else "no"), f"s{i * 7 % speakers:03d}"
        made.append(Clip(f"{word}/{speaker}_nohash_{i}", word, speaker, Path(f"{word}/{speaker}_nohash_{i}.{suffix}")))
    return Corpus("made", tuple(sorted(made)))


@pytest.mark.parametrize("make", [published_split, speaker_split])
def test_every_clip_is_in_one_subset(make):
    corpus = corpus_of()
    split = make(corpus, "yes")
    together = np.concatenate([split.train, split.validation, split.test])
    assert sorted(together) == list(range(len(corpus.clips)))
    check_no_leak(corpus, split)


def test_published_sizes():
    split = published_split(corpus_of(), "yes")
    assert [len(split[s]) for s in ("train", "validation", "test")] == [360, 40, 100]


def test_speaker_split_shares_no_speaker_and_the_published_one_does():
    corpus = corpus_of()
    assert shared_speakers(corpus, speaker_split(corpus, "yes"))[0] == 0
    shared, clips = shared_speakers(corpus, published_split(corpus, "yes"))
    assert shared == clips == 100


@pytest.mark.parametrize("make", [published_split, speaker_split])
def test_fingerprint_depends_on_clips_and_seed_only(make):
    a, b = make(corpus_of(), "yes"), make(corpus_of(suffix="flac"), "yes")
    assert a.fingerprint == b.fingerprint
    assert (a.test == b.test).all()
    assert make(corpus_of(), "yes", seed=1).fingerprint != a.fingerprint
    assert make(corpus_of(499), "yes").fingerprint != a.fingerprint


def test_the_split_never_changes():
    """The random numbers behind the published results: if this fails, every committed model is judged on other clips."""
    assert published_split(corpus_of(), "yes").fingerprint.startswith("66fde0752e2ff008")
    assert speaker_split(corpus_of(), "yes").fingerprint.startswith("dca84c0ac4b553f5")


def test_leaks_are_found():
    corpus = corpus_of()
    split = published_split(corpus, "yes")
    twice = replace(split, train=np.append(split.train, split.test[0]))
    with pytest.raises(SplitMismatch, match="1 clips are in two subsets"):
        check_no_leak(corpus, twice)
    swapped = replace(split, train=split.test, test=split.train)
    with pytest.raises(SplitMismatch, match="fingerprint"):
        check_no_leak(corpus, swapped)
    with pytest.raises(SplitMismatch, match="in none"):
        check_no_leak(corpus_of(501), split)


def test_another_split_is_refused():
    corpus = corpus_of()
    require_split(published_split(corpus, "yes").fingerprint, published_split(corpus, "yes"))
    with pytest.raises(SplitMismatch, match="leak"):
        require_split(speaker_split(corpus, "yes").fingerprint, published_split(corpus, "yes"))


def test_too_little_to_split():
    with pytest.raises(CorpusError, match="1 speaker"):
        speaker_split(corpus_of(20, speakers=1), "yes")
    nameless = Corpus("own", tuple(Clip(f"yes/{i}", "yes", f"{i}", Path(f"yes/{i}.wav")) for i in range(50)))
    with pytest.raises(CorpusError, match="does not tell its speakers"):
        speaker_split(nameless, "yes")
    with pytest.raises(CorpusError, match="both kinds"):
        published_split(corpus_of(4), "yes")
    with pytest.raises(CorpusError, match="no clip of the keyword 'maybe'.*no, yes"):
        published_split(corpus_of(), "maybe")


def test_real_corpus_shares_nearly_all_speakers(real_folder):
    corpus = folder_corpus(real_folder)
    assert (len(corpus.clips), len(corpus.speakers), corpus.words["happy"]) == (9140, 1939, 1464)
    shared, clips = shared_speakers(corpus, published_split(corpus, "happy"))
    assert clips == 1828
    assert shared / clips > 0.9
    check_no_leak(corpus, speaker_split(corpus, "happy"))
