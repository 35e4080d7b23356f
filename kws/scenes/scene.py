"""Scenes: keywords, other words and talk one after another, in rooms and noise, with the times at which keywords end.

They are what a model meets in a stream, made from clips of one word. Many short ones are trained on and chosen on.
A long one, with speakers that no training heard, is where misses and false alarms are counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from kws.data.acoustics import LEAST_POWER, convolve, noise_gain, power, room_responses
from kws.data.audio import SAMPLE_RATE
from kws.scenes.config import SceneConfig
from kws.scenes.noise import recorded_noise, shaped, varied_noise
from kws.scenes.pieces import LEVEL, Piece, draw_piece, pause, said_keyword
from kws.scenes.sounds import LEAST_SHARE, Sounds

LEAST_BETWEEN = 2 * SAMPLE_RATE  # samples between the keywords of the long stream, for a detector holds off
CHANGES = 20 * SAMPLE_RATE  # samples after which the noise of the long stream changes
STREAM_GAIN = 0.3  # of the long stream, so that nothing is clipped
LONG = SceneConfig(
    speed=(1.0, 1.0), piece_gain_db=(-3.0, 3.0), altered_share=0.0, part_share=0.0, splice_share=0.0, narrow_share=0.0
)
"""The long stream's pieces: as they were said, and nothing that is nearly the keyword."""


@dataclass(frozen=True)
class Scene:
    """waveform (samples,) float32 in [-1, 1]; keywords: the (start, end) of each in seconds."""

    waveform: Tensor
    keywords: list[tuple[float, float]]


def make_scene(sounds: Sounds, config: SceneConfig, rng: np.random.Generator) -> Scene:
    """One scene; all randomness comes from ``rng``."""
    # Speech: one piece after another until the scene is full. It may start within a word.
    samples = int(config.seconds * SAMPLE_RATE)
    speech = np.zeros(samples, np.float32)
    keywords: list[tuple[float, float]] = []
    has_keyword, silent = rng.random() >= config.no_keyword, rng.random() < config.no_speech
    position = -int(rng.uniform(0, 0.7) * SAMPLE_RATE)
    while position < samples and not silent:
        piece = draw_piece(sounds, config, has_keyword, rng)
        said = _put(speech, position, piece)
        if said:
            keywords.append(said)
        position += len(piece.waveform) + len(pause(config, rng))
    # Room, noise and microphone. The SNR is over what is spoken, without the pauses.
    waveform = torch.from_numpy(speech)
    spoken = waveform[waveform != 0].square().mean() if waveform.any() else torch.tensor(1e-3)
    if rng.random() < config.room_share:
        waveform = in_room(waveform, config, rng)
    if silent or rng.random() < config.noise_share:
        noise = varied_noise(sounds, config, samples, rng)
        waveform = waveform + noise_gain(spoken, noise, rng.uniform(*config.snr_db)) * noise
    if rng.random() < config.microphone_share:
        waveform = torch.from_numpy(shaped(waveform.numpy(), config.microphone_db, rng))
    level = 10 ** (rng.uniform(*config.level_db) / 20)
    waveform = waveform * (level / waveform.square().mean().sqrt().clamp_min(1e-6))
    return Scene(waveform.clamp(-1, 1), keywords)


def _put(speech: np.ndarray, position: int, piece: Piece) -> tuple[float, float] | None:
    """Add a piece to speech (samples,) from a position on: the (start, end) in seconds of the keyword heard in it.

    A piece whose keyword would be half heard, which is neither, is left out.
    """
    start, end = position + piece.start, position + piece.end
    has_keyword = piece.end > 0 and end > 0 and start < len(speech)
    if has_keyword and (start < 0 or end > len(speech)):
        return None
    first = max(position, 0)
    last = max(min(position + len(piece.waveform), len(speech)), first)
    speech[first:last] += piece.waveform[first - position : last - position]
    return (start / SAMPLE_RATE, end / SAMPLE_RATE) if has_keyword else None


def in_room(waveform: Tensor, config: SceneConfig, rng: np.random.Generator) -> Tensor:
    """A waveform (samples,) as heard in a room."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    rt60, level = (torch.tensor([[rng.uniform(*limits)]]) for limits in (config.rt60_seconds, config.reverberant_level))
    return convolve(waveform[None], room_responses(rt60, level, generator))[0]


def long_stream(sounds: Sounds, snr_db: float, config: SceneConfig | None = None, seed: int = 0) -> Scene:
    """One long stream in which every keyword clip is said once, among other words and talk, in noise.

    Keywords are said with all of their second, so that no cut can spoil one; most other clips are cut to the word.
    One to three other pieces come before each keyword. The noise is ``snr_db`` below the usual level of a word.
    The same seed gives the same stream. ``config`` is ``LONG`` by default.
    """
    rng = np.random.default_rng(seed)
    config = config or LONG
    pieces: list[np.ndarray] = [np.zeros(SAMPLE_RATE, np.float32)]
    keywords: list[tuple[float, float]] = []
    length = SAMPLE_RATE
    usual = sounds.usual_length
    for i in rng.permutation(len(sounds.keywords)):
        for _ in range(rng.integers(1, 4)):
            pieces += [draw_piece(sounds, config, False, rng).waveform, pause(config, rng)]
            length += len(pieces[-2]) + len(pieces[-1])
        # A keyword that seems far too short ends where most would: a detection at its true end would count as late.
        word = sounds.keywords[i]
        if word.end - word.start <= LEAST_SHARE * usual:
            word = replace(word, end=min(round(word.start + usual), len(word.waveform)))
        waveform, start, end = said_keyword(word, replace(config, whole_share=1.0), rng)
        since = length + start - keywords[-1][1] * SAMPLE_RATE if keywords else LEAST_BETWEEN
        pieces += [np.zeros(max(0, int(LEAST_BETWEEN - since)), np.float32), waveform, pause(config, rng)]
        length += len(pieces[-3])
        keywords.append(((length + start) / SAMPLE_RATE, (length + end) / SAMPLE_RATE))
        length += len(waveform) + len(pieces[-1])
    # Noise, another every 20 s.
    speech = torch.from_numpy(np.concatenate([*pieces, np.zeros(2 * SAMPLE_RATE, np.float32)]))
    for start in range(0, len(speech), CHANGES):
        within = speech[start : start + CHANGES]
        noise = recorded_noise(sounds.noises, len(within), rng)
        # As ``noise_gain`` but for rounding: this order of operations is that of the published streams.
        within += noise * LEVEL * (power(noise).clamp_min(LEAST_POWER) * 10 ** (snr_db / 10)).rsqrt()
    return Scene((STREAM_GAIN * speech).clamp(-1, 1), keywords)


def in_noise(scene: Scene, noises: Sequence[Tensor], snr_db: float, seed: int = 0) -> Scene:
    """A scene in noise, another every 20 s, so many dB below what is spoken. The same seed gives the same noise."""
    rng, waveform = np.random.default_rng(seed), scene.waveform.clone()
    spoken = waveform[waveform != 0].square().mean()
    for start in range(0, len(waveform), CHANGES):
        within = waveform[start : start + CHANGES]
        noise = recorded_noise(noises, len(within), rng)
        within += noise_gain(spoken, noise, snr_db) * noise
    return Scene(waveform.clamp(-1, 1), scene.keywords)
