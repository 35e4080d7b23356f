"""The phonemes of English in espeak-ng's notation: which sound alike, and so which words do."""

import numpy as np

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


def nearest(words: list[list[str]], sound: list[str], count: int) -> list[list[str]]:
    """Of real words the ``count`` that sound most like the keyword, itself not among them."""
    others = [word for word in words if word and as_heard(word) != as_heard(sound)]
    return sorted(others, key=lambda word: distance(plain_phonemes(word), plain_phonemes(sound)))[:count]


def distance(word: list[str], other: list[str]) -> float:
    """Edits from one to the other: a phoneme of the same row for another costs 0.5, consonant for vowel 2, every other edit 1."""
    before = [float(j) for j in range(len(other) + 1)]
    for i, a in enumerate(word, 1):
        now = [float(i)]
        for j, b in enumerate(other, 1):
            now.append(min(before[j] + 1, now[j - 1] + 1, before[j - 1] + _swap_cost(a, b)))
        before = now
    return before[-1]


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
