"""Which clips train, which choose, which report: seeded splits with a fingerprint."""

import hashlib
from dataclasses import dataclass

import numpy as np

from kws.data.corpus import Corpus, CorpusError

SUBSETS = ("train", "validation", "test")


class SplitMismatch(ValueError):
    """A model is about to be judged on a split that it was not trained with."""


@dataclass(frozen=True)
class Split:
    """Indices into ``corpus.clips`` of the three subsets, each sorted. ``fingerprint`` names the split exactly."""

    kind: str
    seed: int
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    fingerprint: str

    def __getitem__(self, subset: str) -> np.ndarray:
        if subset not in SUBSETS:
            raise KeyError(f"no subset {subset!r}; there are {', '.join(SUBSETS)}")
        return getattr(self, subset)


def published_split(corpus: Corpus, keyword: str, seed: int = 0) -> Split:
    """The published kind of split: 80/20 over the sorted list of clips at random, whoever speaks.

    The 20 % are the test clips. One tenth of the 80 % is set aside as validation, to choose the epoch on. Nearly every
    test speaker is also heard in training: the quality measured here is that for known voices.
    """
    # Clips are sorted by name, so the same seed gives the same split on every machine.
    order = np.random.default_rng(seed).permutation(len(corpus.clips))
    train_size = int(0.8 * len(order))
    validation_size = train_size // 10
    parts = np.split(order, [train_size - validation_size, train_size])
    return _split("published", seed, corpus, keyword, parts)


def speaker_split(corpus: Corpus, keyword: str, seed: int = 0) -> Split:
    """A split in which no speaker is in two subsets: about 72 % / 8 % / 20 % of the *speakers*, at random."""
    speakers = sorted(corpus.speakers)
    if len(speakers) < 3:
        raise CorpusError(
            f"corpus {corpus.name!r} has {len(speakers)} speaker(s); a speaker-disjoint split needs at least three"
        )
    if not any("_nohash_" in clip.name for clip in corpus.clips):
        raise CorpusError(
            f"corpus {corpus.name!r} does not tell its speakers: name the files <speaker>_nohash_<n>.wav, or the same voice"
            " would be in train and test"
        )
    # Speakers are drawn, not clips; each clip follows its speaker.
    order = np.random.default_rng(seed).permutation(len(speakers))
    test_size = max(1, round(0.2 * len(speakers)))
    validation_size = max(1, round(0.08 * len(speakers)))
    subset_of = {speakers[i]: 2 for i in order[:test_size]} | {
        speakers[i]: 1 for i in order[test_size:][:validation_size]
    }
    place = np.array([subset_of.get(clip.speaker, 0) for clip in corpus.clips])
    return _split("speaker-disjoint", seed, corpus, keyword, [np.flatnonzero(place == k) for k in range(3)])


SPLITS = {"published": published_split, "speaker-disjoint": speaker_split}


def _split(kind: str, seed: int, corpus: Corpus, keyword: str, parts: list[np.ndarray]) -> Split:
    labels = corpus.labels(keyword).numpy()
    parts = [np.sort(part) for part in parts]
    # A subset of one kind only could neither train nor be judged.
    for subset, part in zip(SUBSETS, parts, strict=True):
        positives = labels[part].sum()
        if positives == 0 or positives == len(part):
            raise CorpusError(
                f"the {kind} split (seed {seed}) of corpus {corpus.name!r} leaves {len(part)} clips for {subset}, {positives} of them"
                f" {keyword!r}: both kinds are needed; add clips or speakers, or take another seed (KWS_SPLIT_SEED)"
            )
    return Split(kind, seed, *parts, fingerprint=split_fingerprint(corpus, parts))


def split_fingerprint(corpus: Corpus, parts: list[np.ndarray]) -> str:
    """SHA-256 over the lines ``<subset> <clip name>``, sorted: the same wherever the same clips are split the same way."""
    lines = sorted(
        f"{subset} {corpus.clips[i].name}\n" for subset, part in zip(SUBSETS, parts, strict=True) for i in part
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def shared_speakers(corpus: Corpus, split: Split, subset: str = "test") -> tuple[int, int]:
    """How many clips of a subset have a speaker who is also in train, and how many clips it has."""
    trained = {corpus.clips[i].speaker for i in split.train}
    return sum(corpus.clips[i].speaker in trained for i in split[subset]), len(split[subset])


def check_no_leak(corpus: Corpus, split: Split) -> None:
    """Raise ``SplitMismatch`` unless every clip is in exactly one subset and the fingerprint is that of these subsets."""
    # Every clip once, in one subset.
    parts = [split[subset] for subset in SUBSETS]
    counts = np.bincount(np.concatenate(parts), minlength=len(corpus.clips))
    if len(counts) != len(corpus.clips) or (counts != 1).any():
        raise SplitMismatch(
            f"{(counts > 1).sum()} clips are in two subsets and {(counts == 0).sum()} in none: a clip in train and in test leaks"
        )
    # The very clips that the fingerprint was made of.
    if split.fingerprint != split_fingerprint(corpus, parts):
        raise SplitMismatch(
            "the split's fingerprint is not that of its clips: it was made for another corpus or changed afterwards"
        )
    # No voice on both sides, where that was promised.
    if split.kind == "speaker-disjoint":
        for subset in ("validation", "test"):
            shared, _ = shared_speakers(corpus, split, subset)
            if shared:
                raise SplitMismatch(f"{shared} {subset} clips have a speaker who is also in train")


def require_split(trained_on: str, split: Split) -> None:
    """Refuse to judge a model on a split other than the one whose fingerprint it carries."""
    if trained_on != split.fingerprint:
        raise SplitMismatch(
            f"this model was trained on the split {trained_on[:12]}..., not on this one ({split.fingerprint[:12]}..., {split.kind}, seed"
            f" {split.seed}): some of these {len(split.test)} test clips may have trained it, so a score on them would leak. Use the corpus,"
            " keyword, split kind and seed the model was trained with, or train a model on this split"
        )
