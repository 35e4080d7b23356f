"""Running speech without the keyword, said by synthetic voices: what a model that listens all day must stay silent at.

Phrases of words, common ones half of the time, of made-up words, and with words that sound like the keyword in between,
each said in one go by a voice of its own kind. It stands in for recorded talk, which a corpus of single words has not. espeak-ng's voices are always there; neural ones,
which sound like people, are fetched, or the user's own.
"""

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from kws.data.acoustics import convolve
from kws.data.audio import SAMPLE_RATE, to_int16
from kws.data.corpus import CorpusError
from kws.data.jobs import one_thread
from kws.voices.apart import EspeakCrash
from kws.voices.espeak import Espeak
from kws.voices.find import Voice
from kws.voices.phonemes import CONSONANTS, VOWELS, holds, in_an_accent, nearest, neighbours, similar_words
from kws.voices.speakers import Mouth, make_speaker, room_and_microphone, trimmed
from kws.voices.words import vocabulary

VERSION = 10  # of what is said: raise it when that changes, or talk made before would be taken for new
CONFUSABLE_SHARE, NEAR_SHARE, MADE_UP_SHARE = 0.15, 0.15, 0.1  # of the words of a phrase
NEAR = (
    100,
    100,
)  # real words, and two in a row, that sound most like the keyword: met far more often than made-up ones
PAIRS = 20_000  # that are looked at
COMMON = 1000  # half of the other words are among so many of the commonest
CALLED = (0.6, 1.05)  # pace of a keyword that is said alone: who calls a machine speaks slowly
SWAPPED = 0.5  # share of the keyword's phonemes that the hardest made-up words replace


@dataclass(frozen=True)
class Talk:
    """Phrases without the keyword, and the keyword alone, said by the same voices; (samples,) int16 at 16 kHz.

    Without the second a model would learn that a synthetic voice never says the keyword, and nothing of the words.
    """

    phrases: list[Tensor]
    keywords: list[Tensor]


@one_thread()
def synthetic_talk(
    keyword: str,
    minutes: float,
    keywords: int = 500,
    seed: int = 0,
    speakers: int = 100,
    voice: Voice | None = None,
    progress: bool = True,
) -> Talk:
    """So many minutes of phrases and so many keywords, by speakers of espeak-ng or of a neural voice.

    The same seed, with a voice newly opened, gives the same sound. Raises ``CorpusError`` for a keyword that espeak-ng cannot say.
    """
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    mouth = Mouth(rng)
    spelt = keyword.replace("_", " ")
    sound = mouth.espeak.phonemes(spelt)
    if not sound:
        raise CorpusError(f"espeak-ng cannot say the keyword {keyword!r}: give a word in English spelling")
    # The words, by their phonemes.
    known = [list(word) for word in _spellings()]
    near = _near(tuple(sound))
    # Who reads says no word that has no spelling.
    reads = bool(voice and voice.reads)
    confusable, made_up = ([], 0.0) if reads else (_confusable(sound, rng), MADE_UP_SHARE)
    # Who says them.
    if voice is None:
        people = [make_speaker(str(i), rng, generator) for i in range(speakers)]
    else:
        people = [_neural_speaker(voice, rng, generator) for _ in range(speakers)]

    def say(words: list[list[str]], pace: float = 1.0) -> Tensor:
        speaker = people[rng.integers(len(people))].at(pace)
        if reads:
            waveform = speaker.say([spelt if word is sound else _spellings()[tuple(word)] for word in words], rng)
        elif voice:
            waveform = speaker.say(words, rng)
        else:
            waveform = mouth.say([p for word in words for p in word], speaker, longest=30.0)
        waveform = convolve(waveform[None], speaker.response[None])[0]
        return to_int16(0.5 * waveform / waveform.abs().max().clamp_min(1e-3))

    # Phrases that hold the keyword are not said.
    phrases, left = [], int(minutes * 60 * SAMPLE_RATE)
    with tqdm(desc="speaking phrases", total=round(minutes * 60), unit="s", disable=not progress) as bar:
        while left > 0:
            words = [w for _ in range(rng.integers(1, 8)) for w in _words(known, near, confusable, made_up, rng)]
            if not holds([p for word in words for p in word], sound):
                try:
                    phrases.append(say(words))
                except EspeakCrash:
                    continue
                left -= len(phrases[-1])
                bar.update(min(len(phrases[-1]) / SAMPLE_RATE, bar.total - bar.n))
    return Talk(phrases, [say([sound], rng.uniform(*CALLED)) for _ in range(keywords)])


@dataclass(frozen=True)
class _NeuralSpeaker:
    """One of the speakers of a neural voice, made larger or smaller, in a room at a microphone."""

    voice: Voice
    speaker: int
    size: float
    pace: float
    variety: float
    rhythm: float
    response: Tensor

    def at(self, pace: float) -> "_NeuralSpeaker":
        """The same, so much faster."""
        return replace(self, pace=self.pace * pace)

    def say(self, words: list[list[str]], rng: np.random.Generator) -> Tensor:
        """Float (samples,), a little different every time."""
        size, pace = (x * math.exp(rng.normal(0, spread)) for x, spread in ((self.size, 0.03), (self.pace, 0.1)))
        return trimmed(self.voice.say(words, self.speaker, pace, size, self.variety, self.rhythm))


def _neural_speaker(voice: Voice, rng: np.random.Generator, generator: torch.Generator) -> _NeuralSpeaker:
    return _NeuralSpeaker(
        voice,
        speaker=int(rng.integers(voice.speakers)),
        size=math.exp(rng.uniform(math.log(0.85), math.log(1.5))),  # from a large man to a child
        pace=1 / rng.uniform(0.75, 1.25),
        variety=rng.uniform(0.4, 1.0),
        rhythm=rng.uniform(0.5, 1.1),
        response=room_and_microphone(rng, generator),
    )


def _confusable(sound: list[str], rng: np.random.Generator) -> list[list[str]]:
    """Words that nobody knows, one or two phonemes away from the keyword, of like phonemes and of any."""
    swaps = (1, math.ceil(SWAPPED * len(sound)))
    near = neighbours(sound)
    further = [neighbours(near[i]) for i in rng.integers(len(near), size=2 * len(near))]
    like = [word for count in swaps for word in similar_words(sound, 40, count, rng)]
    every = like + near + [words[rng.integers(len(words))] for words in further]
    return [word for word in every if not in_an_accent(word, sound)]


@cache
def _spellings() -> dict[tuple[str, ...], str]:
    """The words of talk by their phonemes, the commonest first."""
    espeak, found = Espeak(), {}
    for word in vocabulary():
        found.setdefault(tuple(espeak.phonemes(word)), word)
    return {sound: word for sound, word in found.items() if sound}


@cache
def _near(sound: tuple[str, ...]) -> list[list[list[str]]]:
    """Words, and two in a row, that sound like the keyword: "election" and "like some" for "alexa"."""
    words, rng = list(_spellings()), np.random.default_rng(0)
    pairs = [(words[i], words[j]) for i, j in rng.integers(COMMON, size=(PAIRS, 2))]
    near = nearest(words, pairs, sound, NEAR)
    return [[list(word) for word in run] for run in near]


def _words(known: list, near: list, confusable: list, made_up: float, rng: np.random.Generator) -> list[list[str]]:
    """A word of one of these kinds, or two that are near; with a probability one that is made up."""
    kind = rng.random()
    if kind < NEAR_SHARE:
        return near[rng.integers(len(near))]
    if confusable and kind < NEAR_SHARE + CONFUSABLE_SHARE:
        return [confusable[rng.integers(len(confusable))]]
    if kind > 1 - made_up:
        return [[str(rng.choice(sounds)) for _ in range(rng.integers(1, 4)) for sounds in (CONSONANTS, VOWELS)]]
    return [known[rng.integers(len(known) if rng.random() < 0.5 else COMMON)]]
