"""What a user types: as a person would say it in English, as the name of a folder, and whether it is a good keyword."""

import re
import unicodedata
from functools import cache

from kws.voices.espeak import Espeak
from kws.voices.phonemes import plain_phonemes
from kws.voices.words import COMMONEST, WORDS

LONGEST_TYPED = 100  # characters
FEWEST_PHONEMES, SHORTEST_SECONDS = 4, 0.35  # of a keyword that other words do not hold all the time

PAUSES = ".,!?;:\"()[]{}/\\|_-'`´‘’ʼ“”„‚«»‹›‐‑–—¿¡"
SAID_SIGNS = {"&": "and", "+": "plus", "@": "at", "%": "percent"}
LETTER_A = "eigh"  # as espeak-ng names the letter; "a" it takes for the article
# Letters that are not an ASCII one with an accent.
FOLDED = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ı": "i"}
ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def spoken(typed: str) -> str:
    """The text that espeak-ng says as a person would say what was typed: "R2D2!" is "r two d two". Accents stay.

    Raises ``ValueError`` for what has nothing to say, or what its English voices cannot: other scripts, unknown signs, control characters.
    """
    return " ".join(word for token in _tokens(typed) for word in _said(token))


def folder_name(typed: str) -> str:
    """The name of a keyword's folder: letters a to z, digits and underscores, at least one of them no underscore. Raises as ``spoken`` does."""
    folded = "".join(map(_folded, " ".join(_tokens(typed)).replace("'", "")))
    return re.sub(r"[^a-z0-9]+", "_", folded).strip("_")


def warning_for(phonemes: list[str], seconds: float) -> str | None:
    """Why a word of these phonemes, which takes so long to say, will make a bad keyword; None if nothing speaks against it."""
    sounds = [phoneme for phoneme in plain_phonemes(phonemes) if any(map(str.isalnum, phoneme)) or phoneme == "@"]
    reasons = []
    if len(sounds) < FEWEST_PHONEMES or seconds < SHORTEST_SECONDS:
        reasons.append(f"is short ({len(sounds)} sounds, {seconds:.2f} s): many longer words hold it")
    if tuple(plain_phonemes(phonemes)) in _commonest():
        reasons.append("is among the commonest words, or sounds like one: talk says it all the time")
    return f"it {' and '.join(reasons)}; expect false alarms, or take a longer phrase" if reasons else None


@cache
def _commonest() -> set[tuple[str, ...]]:
    """The sounds of the commonest words."""
    espeak = Espeak()
    return {tuple(plain_phonemes(espeak.phonemes(word))) for word in COMMONEST}


def _tokens(typed: str) -> list[str]:
    """What stands between spaces and punctuation, in lower case; signs that are said are words. Raises ``ValueError`` as ``spoken`` does."""
    if len(typed) > LONGEST_TYPED:
        raise ValueError(
            f"cannot say {typed[:20]!r}...: it has {len(typed)} characters, a keyword {LONGEST_TYPED} at most"
        )
    for sign in typed:
        if unicodedata.category(sign)[0] == "C" and not sign.isspace():
            raise ValueError(f"cannot say {typed!r}: it holds a control or invisible character (U+{ord(sign):04X})")
    # One sign for each letter with its accent, whatever the keyboard gave.
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", typed).lower())
    text = "".join(sign for sign in text if not unicodedata.combining(sign))
    text = re.sub("[`´‘’ʼ]", "'", text)
    # Signs that are said.
    text = re.sub(r"(?<!\S)'n'?(?!\S)", "and", text)
    for sign, word in SAID_SIGNS.items():
        text = text.replace(sign, f" {word} ")
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))|(?<=\d)'(?=s\b)", "", text)
    text = re.sub(r"(?<=\d)\.(\d+)", lambda found: f" point {' '.join(found[1])}", text)
    text = re.sub(r"(?<=[^\W\d_]{2})\.(?=[^\W\d_]{2})", " dot ", text)
    # All others part words, but for those inside a word and in "u.s.a.".
    text = re.sub(r"(?<!\w)((?:[^\W\d_]\.)+[^\W\d_])\.?(?!\w)", lambda found: found[1].replace(".", "\0"), text)
    text = re.sub(r"(?<=[^\W\d_])['-](?=[^\W\d_])", lambda found: {"'": "\1", "-": "\2"}[found[0]], text)
    text = text.translate(dict.fromkeys(map(ord, PAUSES), " "))
    text = text.translate({0: ".", 1: "'", 2: "-"})
    for sign in text:
        if not (sign.isspace() or sign in ".'-0123456789" or unicodedata.name(sign, "").startswith("LATIN")):
            raise ValueError(f"cannot say {sign!r} in {typed!r}: write it in letters of English, or as a word")
    if not (tokens := text.split()):
        raise ValueError(f"cannot say {typed!r}: type a word or a phrase")
    return tokens


def _said(token: str) -> list[str]:
    """The words of a token: numbers in words, and letters beside them one by one unless they are a word."""
    if re.fullmatch(r"\D(\.\D)+", token):
        return _spelt(token.replace(".", ""))
    if re.fullmatch(r"\d+(st|nd|rd|th|s)", token):
        return [token]  # espeak-ng says "first" and "nineties"
    found = []
    for piece in (pieces := re.findall(r"\d+|\D+", token)):
        if piece.isdigit():
            found += number_words(piece)
        else:
            short = len(piece) == 1 or (len(piece) == 2 and piece not in WORDS)
            found += _spelt(piece) if short and len(pieces) > 1 else [piece]
    return found


def _spelt(letters: str) -> list[str]:
    return [LETTER_A if letter == "a" else letter for letter in letters]


def number_words(digits: str) -> list[str]:
    """A number in words, as years are said where it may be one; digit by digit if it starts with 0 or has more than four."""
    if len(digits) > 4 or (len(digits) > 1 and digits[0] == "0"):
        return [ONES[int(digit)] for digit in digits]
    number = int(digits)
    if number < 100:
        tens, ones = divmod(number, 10)
        return [ONES[number]] if number < 20 else [TENS[tens - 2], *([ONES[ones]] if ones else [])]
    if 1100 <= number < 2000 or 2010 <= number < 2100:
        rest = number % 100
        last = ["hundred"] if not rest else ["oh", ONES[rest]] if rest < 10 else number_words(str(rest))
        return number_words(str(number // 100)) + last
    unit, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    return [ONES[number // unit], name, *(number_words(str(number % unit)) if number % unit else [])]


def _folded(letter: str) -> str:
    """A letter without its accent; one that has no counterpart in ASCII is its number."""
    plain = FOLDED.get(letter) or unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return plain or f"u{ord(letter):04x}"
