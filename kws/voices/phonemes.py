"""The phonemes of English in espeak-ng's notation: which sound alike, and so which words do."""

import math
from collections.abc import Iterable
from functools import cache

import numpy as np

Word = tuple[str, ...]  # of phonemes
Run = tuple[Word, ...]  # one after another

# fmt: off
CONSONANTS = "p b t d k g f v s z S m n l r w j h tS dZ T".split()
VOWELS = "i: I E a A: V 0 O: u: U eI aI oU 3: @ i".split()
# Phonemes that a listener confuses, in espeak's notation; one is swapped for another of its row to make a similar word.
SIMILAR = [
    ["p", "b", "t", "d", "k", "g"], ["f", "v", "T", "D", "s", "z", "S", "Z", "h"], ["tS", "dZ", "t", "d", "S"],
    ["m", "n", "N"], ["l", "r", "w", "j"],
    ["i:", "I", "eI", "E"], ["a", "E", "V", "A:"], ["0", "O:", "oU", "V"], ["u:", "U", "oU", "3:"], ["aI", "eI", "oI", "aU"],
    ["i", "@", "oU", "eI"],
]
# fmt: on
ALIKE = {"i:": "i", "I": "i", "0": "A:", "02": "A:", "e": "E", "aa": "a"}
# Phonemes of one row sound alike from afar: voiceless, voiced and sonorous consonants, open, mid and close vowels.
ROWS = [
    row.split()
    for row in (
        "p t k f T s S h tS", "b d g v D z Z dZ", "m n N l r w j",
        "a aa A: 0 02 O: V aI aU", "e E eI @ 3: oU", "i i: I u: U",
    )
]  # fmt: skip


def plain_phonemes(phonemes: list[str]) -> list[str]:
    """Without stress marks: homophones such as two and too are then equal."""
    return [phoneme.lstrip("',%") for phoneme in phonemes]


def similar_words(phonemes: list[str], count: int, swaps: int, rng: np.random.Generator) -> list[list[str]]:
    """Up to ``count`` words that differ from a word in ``swaps`` phonemes, each swapped for one that listeners confuse it with."""
    places = [i for i, phoneme in enumerate(phonemes) if _confusions(phoneme)]
    found: dict[str, list[str]] = {}
    for _ in range(20 * count):  # more often than enough: a short word has few neighbours
        word = list(phonemes)
        for i in rng.permutation(places)[:swaps]:
            word[i] = str(rng.choice(_confusions(phonemes[i])))
        found["".join(word)] = word
    return [word for word in found.values() if plain_phonemes(word) != plain_phonemes(phonemes)][:count]


def _confusions(phoneme: str) -> list[str]:
    """The phonemes that are like one, with its stress mark."""
    plain = phoneme.lstrip("',%")
    stress = phoneme[: len(phoneme) - len(plain)]
    return [stress + other for row in SIMILAR if plain in row for other in row if other != plain]


def neighbours(sound: list[str]) -> list[list[str]]:
    """The words that differ from one in any one phoneme, consonant for consonant and vowel for vowel, or lack it."""
    found = []
    for i, phoneme in enumerate(sound):
        (plain,) = plain_phonemes([phoneme])
        stress = phoneme[: len(phoneme) - len(plain)]
        for kind in (CONSONANTS, VOWELS):
            if plain in kind:
                found += [[*sound[:i], stress + other, *sound[i + 1 :]] for other in kind if other != plain]
        if len(sound) > 2:
            found.append([*sound[:i], *sound[i + 1 :]])
    return found


def nearest(
    words: Iterable[Word], pairs: Iterable[tuple[Word, Word]], sound: Word, counts: tuple[int, int]
) -> list[Run]:
    """So many words, and so many pairs, in which a piece sounds most like the keyword; none of them holds it.

    A pair is taken only where it is nearer than either of its words.
    """

    def far(phonemes: Word) -> float:
        if holds([*phonemes], [*sound]):
            return math.inf
        return distance_within(plain_phonemes([*phonemes]), plain_phonemes([*sound]))

    single = {word: far(word) for word in words}
    double = {pair: far(pair[0] + pair[1]) for pair in pairs}
    double = {pair: d for pair, d in double.items() if d < min(single[word] for word in pair)}
    found = []
    for runs, count in zip(({(word,): d for word, d in single.items()}, double), counts, strict=True):
        found += sorted((run for run, d in runs.items() if d < math.inf), key=runs.__getitem__)[:count]
    return found


def distance_within(phrase: list[str], word: list[str]) -> float:
    """Edits from the piece of a phrase that is nearest to a word to that word.

    A phoneme of the same row for another costs 0.5, consonant for vowel 2, every other edit 1.
    """
    before = [float(j) for j in range(len(word) + 1)]
    least = before[-1]
    for a in phrase:
        now = [0.0]  # the piece may begin anywhere
        for j, b in enumerate(word, 1):
            now.append(min(before[j] + 1, now[j - 1] + 1, before[j - 1] + _swap_cost(a, b)))
        before = now
        least = min(least, now[-1])  # and end anywhere
    return least


@cache
def _swap_cost(a: str, b: str) -> float:
    if a == b:
        return 0.0
    rows = [next((i for i, row in enumerate(ROWS) if phoneme in row), None) for phoneme in (a, b)]
    if None in rows:
        return 1.0
    if rows[0] == rows[1]:
        return 0.5
    return 1.0 if (rows[0] < 3) == (rows[1] < 3) else 2.0


def in_an_accent(word: list[str], sound: list[str]) -> bool:
    """Whether a made-up word differs from the keyword in like vowels alone: so someone says the keyword ("heppy")."""
    pairs = list(zip(plain_phonemes(word), plain_phonemes(sound), strict=False))
    alike = [a == b or (b in VOWELS and any(a in row and b in row for row in SIMILAR)) for a, b in pairs]
    return len(word) == len(sound) and all(alike)


def as_heard(phonemes: list[str]) -> list[str]:
    """Without stress marks, and with one name for vowels that some accent or voice says alike, such as those of *fit* and *feet*."""
    return [ALIKE.get(phoneme, phoneme) for phoneme in plain_phonemes(phonemes)]


def holds(phonemes: list[str], keyword: list[str]) -> bool:
    """Whether a phrase says the keyword, be it across two words."""
    phrase, word = as_heard(phonemes), as_heard(keyword)
    return any(phrase[i : i + len(word)] == word for i in range(len(phrase) - len(word) + 1))
