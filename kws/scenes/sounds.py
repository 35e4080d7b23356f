"""What scenes are made of: words with their bounds, phrases of talk and of recorded speech, and noises."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from kws.data.audio import SAMPLE_RATE, to_float
from kws.views import ClipData
from kws.voices.talk import Talk

LEAST_SHARE, MOST_SHARE = 0.6, 1.6  # of the keyword's usual length: outside of them its bounds are likely wrong
HOP = SAMPLE_RATE // 100  # samples, 10 ms: how finely a word's bounds are found
SILENCE_DB = -100.0  # of full scale: digital silence
DEEPEST_DB = 35.0  # below the loudest: what is fainter is no word
ABOVE_NOISE_DB, LEAST_DB = 4.0, 10.0  # a word is so far above the clip's noise, or so far below the loudest at most
LONGEST_GAP = 25  # hops, 250 ms: a stop within a word is shorter


@dataclass(frozen=True)
class Word:
    """A clip (samples,) int16; the word in it goes from sample ``start`` to before ``end``."""

    waveform: Tensor
    start: int
    end: int


@dataclass(frozen=True)
class Sounds:
    """What scenes are made of. Each tensor is (any,) int16 at 16 kHz.

    Attributes:
        keywords, words: clips of the keyword, and of other words.
        talk: phrases without the keyword, by synthetic voices.
        noises: recordings of noise, of any length.
        recorded: phrases without the keyword, by real voices.
    """

    keywords: Sequence[Word]
    words: Sequence[Word]
    talk: Sequence[Tensor]
    noises: Sequence[Tensor]
    recorded: Sequence[Tensor] = ()

    @cached_property
    def usual_length(self) -> float:
        """The median length of the keywords, in samples; 0 without any."""
        return float(np.median([word.end - word.start for word in self.keywords])) if self.keywords else 0.0

    @cached_property
    def clear(self) -> list[Word]:
        """The keywords of about the usual length, or all where there are none.

        The bounds of the others may be wrong: what seems half of the word may be all of it.
        """
        least, most = LEAST_SHARE * self.usual_length, MOST_SHARE * self.usual_length
        return [word for word in self.keywords if least < word.end - word.start < most] or list(self.keywords)


def sounds_of(
    clips: ClipData,
    keyword: str,
    chosen: np.ndarray,
    noises: Sequence[Tensor],
    talk: Talk = Talk([], []),
    recorded: Sequence[Tensor] = (),
) -> Sounds:
    """The sounds of some clips (indices into the corpus), with talk, its keywords, and recorded speech."""
    labels = clips.corpus.labels(keyword).tolist()
    words = {i: Word(clips.waveforms[i], *word_bounds(clips.waveforms[i])) for i in chosen.tolist()}
    keywords, others = ([word for i, word in words.items() if labels[i] == label] for label in (1, 0))
    keywords += [Word(said, 0, len(said)) for said in talk.keywords]
    return Sounds(keywords, others, talk.phrases, noises, recorded)


def halves(noises: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """The first halves of recordings, to train on, and the second ones, to be judged on."""
    return [n[: len(n) // 2] for n in noises], [n[len(n) // 2 :] for n in noises]


def word_bounds(waveform: Tensor) -> tuple[int, int]:
    """The first sample of the word in a clip (samples,) int16, and the one after its last.

    A clip in which nothing stands out is all word. The limits are wide, for a faint last syllable after a stop
    (*happy*) belongs to the word: otherwise half a word would be taught as all of it.
    """
    # Level of every 20 ms, without the lowest sounds (pre-emphasis).
    sound = to_float(waveform).double().numpy()
    power = np.square(sound - 0.97 * np.append(0.0, sound[:-1]))
    frames = np.add.reduceat(power, np.arange(0, len(power), HOP))
    level = 10 * np.log10(np.convolve(frames, [0.5, 0.5], "same") / HOP + 1e-12)
    sounding = level[level > SILENCE_DB]
    if len(sounding) == 0:
        return 0, len(waveform)
    # What stands out: above the clip's quiet tenth. Digital silence around a clip is not its noise.
    quiet = np.quantile(sounding, 0.1)
    floor = max(level.max() - DEEPEST_DB, min(quiet + ABOVE_NOISE_DB, level.max() - LEAST_DB))
    active = np.flatnonzero(level > floor)
    if len(active) == 0:
        return 0, len(waveform)
    # Of the stretches without a long gap, the one with most decibels in all: a click is loud but short.
    stretches = np.split(active, np.flatnonzero(np.diff(active) > LONGEST_GAP) + 1)
    best = max(stretches, key=lambda stretch: (level[stretch] - floor).sum())
    return int(best[0]) * HOP, min((int(best[-1]) + 1) * HOP, len(waveform))
