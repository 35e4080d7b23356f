"""Scenes: keywords, other words and talk one after another, in rooms and noise, with the times at which keywords end.

They are what a model meets in a stream, made from one-word clips: for training, to choose on, and, with speakers that no training
heard, as the frozen long stream on which misses and false alarms are counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from kws.data.acoustics import convolve, room_responses
from kws.data.audio import SAMPLE_RATE, to_float
from kws.views import ClipData
from kws.voices.talk import Talk

FADE = SAMPLE_RATE // 100  # samples over which a cut piece fades in and out
LEAST_BETWEEN = 2 * SAMPLE_RATE  # samples between the keywords of the long stream
LEVEL = 0.1  # root mean square of a word before its gain
SILENCE_DB = -100.0  # of full scale: digital silence
LEAST_SHARE = 0.6  # of the usual length of the keyword; what is shorter is not all of it
MARGIN = 3 * SAMPLE_RATE // 100  # samples kept before and after a word when its clip is cut to it


@dataclass(frozen=True)
class Word:
    """A clip (samples,) int16 and the bounds of the word in it, in samples."""

    waveform: Tensor
    start: int
    end: int


@dataclass(frozen=True)
class Sounds:
    """What scenes are made of: keywords and other words, phrases of talk, noises and phrases of recorded speech, all (any,) int16."""

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
        """The keywords about as long as most: of the others the bounds may be wrong, and what seems half of the word may be all of it."""
        least, most = LEAST_SHARE * self.usual_length, 1.6 * self.usual_length
        return [word for word in self.keywords if least < word.end - word.start < most] or list(self.keywords)


@dataclass(frozen=True)
class SceneConfig:
    """How scenes differ. Each (low, high) is drawn uniformly, each share is between 0 and 1.

    Attributes:
        seconds: of a scene.
        keyword_share: of the pieces, the rest being words and talk; one scene in ``no_keyword`` has none, one in ``no_speech`` only noise.
        altered_share: of the pieces that are not the keyword, one of which half or more is replaced by part of another word: nearly the
            keyword, in voices that are real. part_share: of the others, at most half of one.
        talk_share: of the others. splice_share: of the rest, parts of two to four words: words that nobody said.
        crossed_share: of the keywords, the first part of one and the last of another, so that being joined does not tell them apart.
        recorded_share: of talk, of splices and of what keywords are altered with, taken from recorded speech, if there is some.
        whole_share: of the words, with all of their second rather than cut to the word.
        pause: seconds between pieces, for the share ``pause_share``; the others follow at once (up to 0.1 s).
        noise_share: of the scenes, at ``snr_db`` over the power of the speech where there is speech.
        made_up_share, babble_share: of noises, white noise and many voices at once, the rest being recorded ones at another speed
            (``noise_speed``). Few recordings are soon known by heart; so most noises, ``shaped_share``, get a spectrum of their own, up to
            ``shape_db`` louder or fainter at each of eight frequencies, and ``swelling_share`` get louder and fainter in time by up to that.
        narrow_share: of the pieces, without what is above ``narrow_hz``: much recorded speech is, and must not be told from the keyword by that.
        microphone_share: of the scenes, with a spectrum that differs by up to ``microphone_db`` at each of these frequencies.
    """

    seconds: float = 4.0
    keyword_share: float = 0.3
    no_keyword: float = 0.25
    no_speech: float = 0.05
    altered_share: float = 0.2
    part_share: float = 0.08
    crossed_share: float = 0.2
    talk_share: float = 0.5
    splice_share: float = 0.4
    recorded_share: float = 0.5
    whole_share: float = 0.5
    pause: tuple[float, float] = (0.1, 1.2)
    pause_share: float = 0.5
    speed: tuple[float, float] = (0.87, 1.15)
    piece_gain_db: tuple[float, float] = (-6.0, 6.0)
    room_share: float = 0.3
    rt60_seconds: tuple[float, float] = (0.08, 0.5)
    reverberant_level: tuple[float, float] = (0.2, 0.8)
    noise_share: float = 0.85
    snr_db: tuple[float, float] = (2.0, 35.0)
    made_up_share: float = 0.2
    babble_share: float = 0.2
    noise_speed: tuple[float, float] = (0.6, 1.6)
    shaped_share: float = 0.7
    shape_db: float = 12.0
    swelling_share: float = 0.3
    narrow_share: float = 0.15
    narrow_hz: tuple[float, float] = (3400.0, 6500.0)
    microphone_share: float = 0.5
    microphone_db: float = 5.0
    level_db: tuple[float, float] = (-40.0, -15.0)


@dataclass(frozen=True)
class Scene:
    """waveform (samples,) float32; the (start, end) of each keyword in seconds."""

    waveform: Tensor
    keywords: list[tuple[float, float]]


def word_bounds(waveform: Tensor) -> tuple[int, int]:
    """The first sample of the word in a clip (samples,) and the one after its last, by its level without the lowest sounds (pre-emphasis).

    Of the stretches without a gap of 250 ms in which the level of 20 ms is at most 35 dB below the loudest and 4 dB above the clip's
    quiet tenth (or 10 dB below the loudest), the one with most decibels above that, over its length: a click is loud but short. A clip without any is all word.
    The limits are wide: a faint last syllable after a stop (*happy*) belongs to the word, and half a word would be taught as all of it.
    """
    hop = SAMPLE_RATE // 100
    sound = to_float(waveform).double().numpy()
    power = np.square(sound - 0.97 * np.append(0.0, sound[:-1]))
    frames = np.add.reduceat(power, np.arange(0, len(power), hop))
    level = 10 * np.log10(np.convolve(frames, [0.5, 0.5], "same") / hop + 1e-12)
    sounding = level[level > SILENCE_DB]
    if len(sounding) == 0:
        return 0, len(waveform)
    quiet = np.quantile(sounding, 0.1)  # digital silence around a clip is not its noise
    floor = max(level.max() - 35, min(quiet + 4, level.max() - 10))
    active = np.flatnonzero(level > floor)
    if len(active) == 0:
        return 0, len(waveform)
    stretches = np.split(active, np.flatnonzero(np.diff(active) > 25) + 1)
    best = max(stretches, key=lambda stretch: (level[stretch] - floor).sum())
    return int(best[0]) * hop, min((int(best[-1]) + 1) * hop, len(waveform))


def make_scene(sounds: Sounds, config: SceneConfig, rng: np.random.Generator) -> Scene:
    """One scene; all randomness comes from ``rng``."""
    samples = int(config.seconds * SAMPLE_RATE)
    speech = np.zeros(samples, np.float32)
    keywords: list[tuple[float, float]] = []
    has_keyword, silent = rng.random() >= config.no_keyword, rng.random() < config.no_speech
    position = -int(rng.uniform(0, 0.7) * SAMPLE_RATE)  # a scene may start within a word
    while position < samples and not silent:
        piece, start, end = _piece(sounds, config, has_keyword, rng)
        first = max(position, 0)
        last = max(min(position + len(piece), samples), first)
        speech[first:last] += piece[first - position : last - position]
        if end and position + start >= 0 and position + end <= samples:
            keywords.append(((position + start) / SAMPLE_RATE, (position + end) / SAMPLE_RATE))
        elif end and position + end > 0 and position + start < samples:
            # A keyword half heard is neither: take it out again.
            speech[first:last] -= piece[first - position : last - position]
        position += len(piece) + len(_pause(config, rng))
    waveform = torch.from_numpy(speech)
    spoken = waveform[waveform != 0].square().mean() if waveform.any() else torch.tensor(1e-3)
    if rng.random() < config.room_share:
        waveform = _in_room(waveform, config, rng)
    if silent or rng.random() < config.noise_share:
        noise = _varied_noise(sounds, config, samples, rng)
        scale = (spoken / noise.square().mean().clamp_min(1e-10) / 10 ** (rng.uniform(*config.snr_db) / 10)).sqrt()
        waveform = waveform + scale * noise
    if rng.random() < config.microphone_share:
        waveform = torch.from_numpy(_shaped(waveform.numpy(), config.microphone_db, rng))
    level = 10 ** (rng.uniform(*config.level_db) / 20)
    waveform = waveform * (level / waveform.square().mean().sqrt().clamp_min(1e-6))
    return Scene(waveform.clamp(-1, 1), keywords)


def long_stream(sounds: Sounds, snr_db: float, config: SceneConfig | None = None, seed: int = 0) -> Scene:
    """One long stream in which every keyword clip is said once, at its own speed, among other words and talk, in noise.

    Keywords are said with all of their second, so that no cut can spoil one; most other clips are cut to the word. All are faded in and
    out and words brought to one level, give or take 3 dB.
    Of a keyword that seems much shorter than most, the end is taken to be where most would end: what is left out of a word's bounds would
    make of a detection at its true end a late one, that is a miss and a false alarm.
    One to three other pieces come before each keyword, with pauses, and at least two seconds between keywords: a detector that holds off
    after a detection could not hear the next one sooner. The noise changes every 20 s and is ``snr_db`` dB below that level. The same
    seed gives the same stream.
    """
    rng = np.random.default_rng(seed)
    config = config or SceneConfig(
        speed=(1.0, 1.0),
        piece_gain_db=(-3.0, 3.0),
        altered_share=0.0,
        part_share=0.0,
        splice_share=0.0,
        narrow_share=0.0,
    )
    pieces: list[np.ndarray] = [np.zeros(SAMPLE_RATE, np.float32)]
    keywords: list[tuple[float, float]] = []
    length = SAMPLE_RATE
    usual = sounds.usual_length
    for i in rng.permutation(len(sounds.keywords)):
        for _ in range(rng.integers(1, 4)):
            pieces += [_piece(sounds, config, False, rng)[0], _pause(config, rng)]
            length += len(pieces[-2]) + len(pieces[-1])
        word = sounds.keywords[i]
        if word.end - word.start <= LEAST_SHARE * usual:
            word = replace(word, end=min(round(word.start + usual), len(word.waveform)))
        waveform, start, end = _keyword(word, replace(config, whole_share=1.0), rng)
        since = length + start - keywords[-1][1] * SAMPLE_RATE if keywords else LEAST_BETWEEN
        pieces += [np.zeros(max(0, int(LEAST_BETWEEN - since)), np.float32), waveform, _pause(config, rng)]
        length += len(pieces[-3])
        keywords.append(((length + start) / SAMPLE_RATE, (length + end) / SAMPLE_RATE))
        length += len(waveform) + len(pieces[-1])
    speech = torch.from_numpy(np.concatenate([*pieces, np.zeros(2 * SAMPLE_RATE, np.float32)]))
    for start in range(0, len(speech), 20 * SAMPLE_RATE):
        stretch = speech[start : start + 20 * SAMPLE_RATE]
        noise = cut_noise(sounds.noises, len(stretch), rng)
        stretch += noise * LEVEL * (noise.square().mean().clamp_min(1e-10) * 10 ** (snr_db / 10)).rsqrt()
    return Scene((0.3 * speech).clamp(-1, 1), keywords)


def sounds_of(
    clips: ClipData,
    keyword: str,
    chosen: np.ndarray,
    noises: Sequence[Tensor],
    talk: Talk = Talk([], []),
    recorded: Sequence[Tensor] = (),
) -> Sounds:
    """The sounds of some clips (indices into the corpus), with talk and its keywords, and phrases of recorded speech."""
    labels = clips.corpus.labels(keyword).tolist()
    words = {i: Word(clips.waveforms[i], *word_bounds(clips.waveforms[i])) for i in chosen.tolist()}
    keywords, others = ([word for i, word in words.items() if labels[i] == label] for label in (1, 0))
    keywords += [Word(said, 0, len(said)) for said in talk.keywords]
    return Sounds(keywords, others, talk.phrases, noises, recorded)


def halves(noises: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """The first halves of recordings, to train on, and the second ones, to be judged on."""
    return [n[: len(n) // 2] for n in noises], [n[len(n) // 2 :] for n in noises]


def cut_noise(noises: Sequence[Tensor], samples: int, rng: np.random.Generator) -> Tensor:
    """A stretch of a random noise, float, from a random place; a short noise is repeated."""
    noise = noises[rng.integers(len(noises))]
    noise = noise.repeat(-(-samples // len(noise)) + 1) if len(noise) <= samples else noise
    start = int(rng.integers(len(noise) - samples))
    return to_float(noise[start : start + samples])


def _varied_noise(sounds: Sounds, config: SceneConfig, samples: int, rng: np.random.Generator) -> Tensor:
    """A stretch of noise, float: recorded at another speed, made up or of many voices, with another spectrum and course in time."""
    kind = rng.random()
    if kind < config.made_up_share:
        noise = rng.standard_normal(samples).astype(np.float32)
    elif kind < config.made_up_share + config.babble_share:
        noise = sum(_voices(sounds, samples, rng) for _ in range(rng.integers(3, 8)))
    else:
        places = np.arange(samples) * rng.uniform(*config.noise_speed)
        recorded = cut_noise(sounds.noises, int(places[-1]) + 2, rng).numpy()
        noise = np.interp(places, np.arange(len(recorded)), recorded).astype(np.float32)
    if rng.random() < config.shaped_share:
        noise = _shaped(noise, config.shape_db, rng)
    if rng.random() < config.swelling_share:
        turns = rng.uniform(-config.shape_db, config.shape_db, int(rng.integers(3, 12)))
        course = np.interp(np.arange(samples), np.linspace(0, samples, len(turns)), turns)
        noise *= (10 ** (course / 20)).astype(np.float32)
    return torch.from_numpy(noise)


def _shaped(waveform: np.ndarray, most_db: float, rng: np.random.Generator) -> np.ndarray:
    """Another spectrum: at each of eight frequencies an octave apart, from 64 Hz on, up to ``most_db`` louder or fainter."""
    size = 1 << (len(waveform) - 1).bit_length()
    octaves = np.log2(np.maximum(np.arange(size // 2 + 1) / size * SAMPLE_RATE, 1))
    shape = np.interp(octaves, np.linspace(6, 13, 8), rng.uniform(-most_db, most_db, 8))
    return np.fft.irfft(np.fft.rfft(waveform, size) * 10 ** (shape / 20))[: len(waveform)].astype(np.float32)


def _narrowed(waveform: np.ndarray, highest_hz: float) -> np.ndarray:
    """Without what is above a frequency: 60 dB less from an eighth above it on."""
    size = 1 << (len(waveform) - 1).bit_length()
    above = np.arange(size // 2 + 1) / size * SAMPLE_RATE / highest_hz - 1
    return np.fft.irfft(np.fft.rfft(waveform, size) * 10 ** (-3 * np.clip(8 * above, 0, 1)))[: len(waveform)].astype(
        np.float32
    )


def _voices(sounds: Sounds, samples: int, rng: np.random.Generator) -> np.ndarray:
    """One voice of a babble: phrases of talk or recorded speech, or words, one after another, of which the last ends with the noise."""
    sources = [phrases for phrases in (sounds.recorded, sounds.talk) if len(phrases)]
    source = _choose(sources, rng) if sources else [word.waveform for word in sounds.words]
    said, length = [], -int(rng.integers(SAMPLE_RATE))
    while length < samples:
        said.append(to_float(_choose(source, rng)).numpy())
        said[-1] = said[-1] / max(float(np.sqrt(np.square(said[-1]).mean())), 1e-4)
        length += len(said[-1])
    return np.concatenate(said)[-samples:]


def _pause(config: SceneConfig, rng: np.random.Generator) -> np.ndarray:
    seconds = rng.uniform(*config.pause) if rng.random() < config.pause_share else rng.uniform(0, 0.1)
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)


def _piece(
    sounds: Sounds, config: SceneConfig, has_keyword: bool, rng: np.random.Generator
) -> tuple[np.ndarray, int, int]:
    """One piece of speech, and where the keyword in it starts and ends (0, 0 if it holds none)."""
    if has_keyword and rng.random() < config.keyword_share:
        if rng.random() >= config.crossed_share:
            return _keyword(_choose(sounds.keywords, rng), config, rng)
        share = rng.uniform(0.3, 0.7)
        crossed = _join(
            [_part(_choose(sounds.keywords, rng), 0, share), _part(_choose(sounds.keywords, rng), share, 1)]
        )
        return _said(crossed, 0, len(crossed), config, rng)
    recorded = len(sounds.recorded) > 0 and rng.random() < config.recorded_share

    def other_word() -> Word:
        return _stretch(_choose(sounds.recorded, rng), rng) if recorded else _choose(sounds.words, rng)

    if rng.random() < config.altered_share:
        other = other_word()
        piece = _altered(_choose(sounds.clear, rng), other, rng)
    elif rng.random() < config.part_share:
        share = rng.uniform(0.2, 0.5)
        first = 0.0 if rng.random() < 0.5 else 1 - share
        piece = _part(_choose(sounds.clear, rng), first, first + share)
    elif sounds.talk and rng.random() < config.talk_share:
        piece = to_float(_choose(sounds.recorded if recorded else sounds.talk, rng)).numpy()
    elif rng.random() < config.splice_share:
        lengths = rng.uniform(0.25, 0.7, rng.integers(2, 5))
        starts = rng.uniform(0, 1 - lengths)
        parts = [_part(other_word(), start, start + length) for start, length in zip(starts, lengths, strict=True)]
        piece = _join([part[::-1] if rng.random() < 0.15 else part for part in parts])
    else:
        word = _choose(sounds.words, rng)
        whole = rng.random() < config.whole_share
        piece = to_float(
            word.waveform if whole else word.waveform[max(word.start - MARGIN, 0) : word.end + MARGIN]
        ).numpy()
    return _said(piece, 0, 0, config, rng)


def _choose(sounds: Sequence, rng: np.random.Generator):
    return sounds[rng.integers(len(sounds))]


def _stretch(phrase: Tensor, rng: np.random.Generator) -> Word:
    """A stretch of a phrase about as long as a word, and rarely a pause: of three, the one of most power."""
    length = min(int(rng.uniform(0.3, 0.7) * SAMPLE_RATE), len(phrase))
    starts = rng.integers(len(phrase) - length + 1, size=3)
    start = int(max(starts, key=lambda at: to_float(phrase[at : at + length]).square().sum()))
    return Word(phrase, start, start + length)


def _altered(keyword: Word, other: Word, rng: np.random.Generator) -> np.ndarray:
    """A keyword of which the first or last half, or more, is replaced by as long a part of another word, more or less."""
    share = rng.uniform(0.5, 0.85)
    first = 0.0 if rng.random() < 0.5 else 1 - share
    length = share * (keyword.end - keyword.start) * rng.uniform(0.7, 1.4) / (other.end - other.start)
    start = rng.uniform(0, max(1 - length, 0))
    kept = [_part(keyword, 0, first), _part(other, start, min(start + length, 1)), _part(keyword, first + share, 1)]
    return _join([part for part in kept if len(part)])


def _part(word: Word, first: float, last: float) -> np.ndarray:
    """A part of a word, given as shares of it, at a level of its own."""
    length = word.end - word.start
    part = to_float(word.waveform[word.start + int(first * length) : word.start + int(last * length)]).numpy()
    return part * (LEVEL / max(float(np.sqrt(np.square(part).mean())) if len(part) else 0.0, 1e-4))


def _join(parts: Sequence[np.ndarray]) -> np.ndarray:
    """One after another, each faded into the next."""
    joined, overlap = parts[0], FADE // 2
    ramp = np.linspace(0, 1, overlap, dtype=np.float32)
    for part in parts[1:]:
        if min(len(joined), len(part)) > overlap:
            middle = joined[-overlap:] * (1 - ramp) + part[:overlap] * ramp
            joined = np.concatenate([joined[:-overlap], middle, part[overlap:]])
        else:
            joined = np.concatenate([joined, part])
    return joined


def _keyword(word: Word, config: SceneConfig, rng: np.random.Generator) -> tuple[np.ndarray, int, int]:
    first, last = 0, len(word.waveform)
    if rng.random() >= config.whole_share:
        first, last = max(word.start - MARGIN, 0), word.end + MARGIN
    piece = to_float(word.waveform[first:last]).numpy()
    return _said(piece, word.start - first, word.end - first, config, rng)


def _said(
    waveform: np.ndarray, start: int, end: int, config: SceneConfig, rng: np.random.Generator
) -> tuple[np.ndarray, int, int]:
    """A piece at some speed and level (of the keyword in it, or of all), faded in and out, and its bounds at that speed."""
    speed = rng.uniform(*config.speed)
    places = np.arange(0, len(waveform) - 1, speed)
    waveform = np.interp(places, np.arange(len(waveform)), waveform).astype(np.float32)
    if rng.random() < config.narrow_share:
        waveform = _narrowed(waveform, rng.uniform(*config.narrow_hz))
    fade = min(FADE, len(waveform) // 2)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    waveform[:fade] *= ramp
    waveform[len(waveform) - fade :] *= ramp[::-1]
    # Clips differ in level by 40 dB; a voice in a scene has its own, and varies a little.
    level = LEVEL * 10 ** (rng.uniform(*config.piece_gain_db) / 20)
    start, end = int(start / speed), int(end / speed)
    word = waveform[start:end] if end else waveform
    waveform *= level / max(float(np.sqrt(np.square(word).mean())), 1e-4)
    return waveform, start, end


def _in_room(waveform: Tensor, config: SceneConfig, rng: np.random.Generator) -> Tensor:
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    rt60, level = (torch.tensor([[rng.uniform(*limits)]]) for limits in (config.rt60_seconds, config.reverberant_level))
    return convolve(waveform[None], room_responses(rt60, level, generator))[0]
