"""Words that sound alike, by their phonemes."""

import numpy as np
import pytest

from kws.voices import Espeak
from kws.voices.phonemes import _swap_cost, distance_within, holds, nearest, similar_words


@pytest.mark.parametrize("swaps", [1, 2])
def test_similar_words_differ_in_so_many_phonemes(swaps):
    phonemes = Espeak().phonemes("sheila")
    assert [p.strip("'") for p in phonemes] == ["S", "i:", "l", "@"]
    words = similar_words(phonemes, 8, swaps, np.random.default_rng(0))
    assert len({tuple(word) for word in words}) == 8
    for word in words:
        assert sum(a != b for a, b in zip(word, phonemes, strict=True)) == swaps
        assert word[1].startswith("'")  # the stress stays


def test_distance_counts_edits_less_between_like_phonemes():
    happy = ["h", "a", "p", "i"]
    assert distance_within(happy, happy) == 0
    assert distance_within(["k", "a", "p", "i"], happy) == 0.5  # both voiceless
    assert distance_within(["m", "a", "p", "i"], happy) == 1
    assert distance_within(["i", "a", "p", "i"], happy) == 1  # as without the h
    assert distance_within(["a", "p", "i"], happy) == distance_within(["h", "a", "i"], happy) == 1
    assert distance_within([], happy) == 4
    # What is around the piece costs nothing.
    assert distance_within(["@", "n", *happy, "t"], happy) == 0
    assert distance_within(["m", "a", "k", "a", "p", "0", "m"], happy) == 1.5


@pytest.mark.parametrize("seed", range(3))
def test_distance_is_that_of_the_nearest_piece(seed):
    """Of all pieces, each compared as a whole by the plain recursion."""
    rng = np.random.default_rng(seed)
    phrase, word = (list(rng.choice(["h", "k", "a", "p", "i", "m"], size=n)) for n in (6, 4))

    def edits(a: tuple, b: tuple) -> float:
        if not a or not b:
            return len(a) + len(b)
        swap = _swap_cost(a[-1], b[-1])
        return min(edits(a[:-1], b) + 1, edits(a, b[:-1]) + 1, edits(a[:-1], b[:-1]) + swap)

    pieces = [tuple(phrase[i:j]) for i in range(7) for j in range(i, 7)]
    assert distance_within(phrase, word) == min(edits(piece, tuple(word)) for piece in pieces)


def test_near_words_and_pairs_never_hold_the_keyword():
    happy, puppy, dog = ("h", "a", "p", "i"), ("p", "V", "p", "i"), ("d", "0", "g")
    cap, ink, homophone = ("k", "a", "p"), ("I", "t"), ("h", "'a", "p", "i:")
    words = [dog, homophone, puppy, cap, ink]
    pairs = [(cap, ink), (dog, puppy), (homophone, dog)]
    # "cap it" is half an edit away, nearer than "cap" is; "dog puppy" is no nearer than "puppy" alone.
    assert nearest(words, pairs, happy, (2, 5)) == [(puppy,), (cap,), (cap, ink)]


def test_a_phrase_holds_the_keyword_across_words_and_whatever_the_stress():
    sound = ["h", "'a", "p", "i"]
    assert holds(["@", "n", "h", "a", "p", "i", "t"], sound)
    assert holds(["h", "'a", "p", "i:"], sound)  # a homophone in some accents
    assert not holds(["h", "a", "p"], sound)
    assert holds(["d", "A:", "g"], ["d", "'0", "g"])  # a neural voice has one vowel for both
    assert not holds(["h", "a", "t", "p", "i"], sound)
