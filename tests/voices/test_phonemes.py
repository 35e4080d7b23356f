"""Words that sound alike, by their phonemes."""

import numpy as np
import pytest

from kws.voices import Espeak
from kws.voices.phonemes import distance, holds, nearest, similar_words


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
    assert distance(happy, happy) == 0
    assert distance(["k", "a", "p", "i"], happy) == 0.5  # both voiceless
    assert distance(["m", "a", "p", "i"], happy) == 1
    assert distance(["i", "a", "p", "i"], happy) == 2
    assert distance(["a", "p", "i"], happy) == distance(happy, ["a", "p", "i"]) == 1
    assert nearest([["d", "0", "g"], ["h", "'a", "p", "i:"], ["p", "V", "p", "i"], []], happy, 2) == [
        ["p", "V", "p", "i"],
        ["d", "0", "g"],
    ]


def test_a_phrase_holds_the_keyword_across_words_and_whatever_the_stress():
    sound = ["h", "'a", "p", "i"]
    assert holds(["@", "n", "h", "a", "p", "i", "t"], sound)
    assert holds(["h", "'a", "p", "i:"], sound)  # a homophone in some accents
    assert not holds(["h", "a", "p"], sound)
    assert holds(["d", "A:", "g"], ["d", "'0", "g"])  # a neural voice has one vowel for both
    assert not holds(["h", "a", "t", "p", "i"], sound)
