"""The pieces of speech that a scene says one after another: keywords, what is nearly the keyword, words and talk."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from kws.data.audio import SAMPLE_RATE, to_float
from kws.scenes.config import SceneConfig
from kws.scenes.noise import narrowed
from kws.scenes.sounds import Sounds, Word

LEVEL = 0.1  # root mean square of a word before its gain; clips differ by 40 dB
FADE = SAMPLE_RATE // 100  # samples over which a cut piece fades in and out
MARGIN = 3 * SAMPLE_RATE // 100  # samples kept before and after a word when its clip is cut to it
QUIETEST = 1e-4  # root mean square below which nothing is amplified further
BACKWARDS = 0.15  # share of the parts of a splice
CANDIDATES = 3  # stretches of a phrase of which the loudest is taken


class Piece(NamedTuple):
    """Speech (samples,) float32, and from which sample to which the keyword is said in it: 0, 0 if it is not."""

    waveform: np.ndarray
    start: int
    end: int


def draw_piece(sounds: Sounds, config: SceneConfig, has_keyword: bool, rng: np.random.Generator) -> Piece:
    """One piece of speech: a keyword, which only a scene that ``has_keyword`` may say, or anything else."""
    if has_keyword and rng.random() < config.keyword_share:
        if rng.random() >= config.crossed_share:
            return said_keyword(choose(sounds.keywords, rng), config, rng)
        share = rng.uniform(0.3, 0.7)
        first, last = part(choose(sounds.keywords, rng), 0, share), part(choose(sounds.keywords, rng), share, 1)
        crossed = joined([first, last])
        return said(Piece(crossed, 0, len(crossed)), config, rng)
    return said(Piece(_other(sounds, config, rng), 0, 0), config, rng)


def _other(sounds: Sounds, config: SceneConfig, rng: np.random.Generator) -> np.ndarray:
    """Speech (samples,) that is not the keyword."""
    recorded = len(sounds.recorded) > 0 and rng.random() < config.recorded_share

    def other_word() -> Word:
        return stretch(choose(sounds.recorded, rng), rng) if recorded else choose(sounds.words, rng)

    # Nearly the keyword: half or more of it replaced, or at most half of it.
    if rng.random() < config.altered_share:
        other = other_word()
        return altered(choose(sounds.clear, rng), other, rng)
    if rng.random() < config.part_share:
        share = rng.uniform(0.2, 0.5)
        first = 0.0 if rng.random() < 0.5 else 1 - share
        return part(choose(sounds.clear, rng), first, first + share)
    # Other speech: phrases, words that nobody said, and words.
    if sounds.talk and rng.random() < config.talk_share:
        return to_float(choose(sounds.recorded if recorded else sounds.talk, rng)).numpy()
    if rng.random() < config.splice_share:
        lengths = rng.uniform(0.25, 0.7, rng.integers(2, 5))
        starts = rng.uniform(0, 1 - lengths)
        parts = [part(other_word(), start, start + length) for start, length in zip(starts, lengths, strict=True)]
        return joined([one[::-1] if rng.random() < BACKWARDS else one for one in parts])
    word = choose(sounds.words, rng)
    return clip_of(word, rng.random() < config.whole_share).waveform


def choose(sounds: Sequence, rng: np.random.Generator):
    """One of them, all as likely."""
    return sounds[rng.integers(len(sounds))]


def clip_of(word: Word, whole: bool) -> Piece:
    """All of a word's clip, or what is within its bounds and a margin."""
    first, last = (0, len(word.waveform)) if whole else (max(word.start - MARGIN, 0), word.end + MARGIN)
    return Piece(to_float(word.waveform[first:last]).numpy(), word.start - first, word.end - first)


def said_keyword(word: Word, config: SceneConfig, rng: np.random.Generator) -> Piece:
    """A keyword, cut to the word or not, as it is said in a scene."""
    return said(clip_of(word, rng.random() < config.whole_share), config, rng)


def stretch(phrase: Tensor, rng: np.random.Generator) -> Word:
    """A stretch of a phrase about as long as a word, and rarely a pause: of three, the one of most power."""
    length = min(int(rng.uniform(0.3, 0.7) * SAMPLE_RATE), len(phrase))
    starts = rng.integers(len(phrase) - length + 1, size=CANDIDATES)
    start = int(max(starts, key=lambda at: to_float(phrase[at : at + length]).square().sum()))
    return Word(phrase, start, start + length)


def altered(keyword: Word, other: Word, rng: np.random.Generator) -> np.ndarray:
    """A keyword of which the first or last half, or more, is replaced by a part of another word, about as long."""
    share = rng.uniform(0.5, 0.85)
    first = 0.0 if rng.random() < 0.5 else 1 - share
    length = share * (keyword.end - keyword.start) * rng.uniform(0.7, 1.4) / (other.end - other.start)
    start = rng.uniform(0, max(1 - length, 0))
    kept = [part(keyword, 0, first), part(other, start, min(start + length, 1)), part(keyword, first + share, 1)]
    return joined([one for one in kept if len(one)])


def part(word: Word, first: float, last: float) -> np.ndarray:
    """A part of a word, given as shares of it, at a level of its own."""
    length = word.end - word.start
    cut = to_float(word.waveform[word.start + int(first * length) : word.start + int(last * length)]).numpy()
    return cut * (LEVEL / max(float(np.sqrt(np.square(cut).mean())) if len(cut) else 0.0, QUIETEST))


def joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Parts (samples,) one after another, each faded into the next where both are long enough."""
    whole, overlap = parts[0], FADE // 2
    ramp = np.linspace(0, 1, overlap, dtype=np.float32)
    for one in parts[1:]:
        if min(len(whole), len(one)) > overlap:
            middle = whole[-overlap:] * (1 - ramp) + one[:overlap] * ramp
            whole = np.concatenate([whole[:-overlap], middle, one[overlap:]])
        else:
            whole = np.concatenate([whole, one])
    return whole


def said(piece: Piece, config: SceneConfig, rng: np.random.Generator) -> Piece:
    """A piece as it is said: at some speed and level, faded in and out, with its bounds at that speed.

    The level is that of the keyword in it, or of all where there is none.
    """
    # Speed, with the pitch, and bandwidth.
    waveform, start, end = piece
    speed = rng.uniform(*config.speed)
    places = np.arange(0, len(waveform) - 1, speed)
    waveform = np.interp(places, np.arange(len(waveform)), waveform).astype(np.float32)
    if rng.random() < config.narrow_share:
        waveform = narrowed(waveform, rng.uniform(*config.narrow_hz))
    fade = min(FADE, len(waveform) // 2)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    waveform[:fade] *= ramp
    waveform[len(waveform) - fade :] *= ramp[::-1]
    # A voice in a scene has a level, and varies a little.
    level = LEVEL * 10 ** (rng.uniform(*config.piece_gain_db) / 20)
    start, end = int(start / speed), int(end / speed)
    word = waveform[start:end] if end else waveform
    waveform *= level / max(float(np.sqrt(np.square(word).mean())), QUIETEST)
    return Piece(waveform, start, end)


def pause(config: SceneConfig, rng: np.random.Generator) -> np.ndarray:
    """Silence (samples,) between two pieces."""
    seconds = rng.uniform(*config.pause) if rng.random() < config.pause_share else rng.uniform(0, 0.1)
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)
