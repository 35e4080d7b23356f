"""Noise that training has not heard: of several voices, shaped like speech, and brown noise that swells.

Views mix in recordings of ``_background_noise_`` (white and pink noise among them; of a corpus without any, white noise or noise
up to 1 / f^1.5 that was made with it), and for one clip in five a single other clip of the training subset. So these are kinds of
their own:

- "babble": several other words at once, of the judged subset, never of the clip's own speaker and never the keyword;
- "speech-shaped": steady, with the mean spectrum of other words, but without their course in time;
- "swelling": brown noise (1 / f^2) from 60 Hz on, whose level rises and falls two to eight times a second, as syllables do.

The synthetic corpus alone has a babble of its own voices among its recordings: there "babble" is a heard kind, in other words.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from kws.data.acoustics import LEAST_POWER, coloured_noise, power
from kws.data.audio import SAMPLE_RATE, to_float
from kws.data.corpus import CorpusError
from kws.features import BATCH
from kws.views import ClipData, TrainingData

VOICES = 6  # of a babble
LOWEST_HZ = 60  # of brown noise: below it most of its power would be, and no ear
SWELLS_HZ = (2.0, 8.0)


def unheard_noise(
    kind: str, clips: ClipData, data: TrainingData, subset: str = "test", seed: int = 0
) -> Iterator[Tensor]:
    """Noise for the clips of a subset, ``BATCH`` at a time: (batch, samples) float32, of any level; the same for the same seed.

    Raises ``ValueError`` for a kind that is none of ``UNHEARD``, and ``CorpusError`` for a babble without two other speakers.
    """
    if kind not in UNHEARD:
        raise ValueError(f"noise is {kind!r}; it must be one of {', '.join(UNHEARD)}")
    return UNHEARD[kind](clips, data, subset, torch.Generator().manual_seed(seed))


def _babble(clips: ClipData, data: TrainingData, subset: str, generator: torch.Generator) -> Iterator[Tensor]:
    batches, others = _clips_and_others(data, subset)
    speaker = torch.from_numpy(np.unique([c.speaker for c in data.corpus.clips], return_inverse=True)[1])
    if len(speaker[others].unique()) < 2:
        raise CorpusError(
            f"babble needs other words of two speakers; there are {len(others)} such {subset} clips of fewer"
        )
    for batch in batches:
        babble = torch.zeros(len(batch), clips.waveforms.shape[1])
        for _ in range(VOICES):
            # Another speaker's word for each clip, drawn again where it is the clip's own.
            drawn = _draw(others, len(batch), generator)
            while (own := speaker[drawn] == speaker[batch]).any():
                drawn[own] = _draw(others, int(own.sum()), generator)
            voices = to_float(clips.waveforms[drawn])
            voices /= power(voices).clamp_min(LEAST_POWER).sqrt()
            # Each begins elsewhere, for words of clips are all in the middle.
            starts = torch.randint(voices.shape[1], (len(batch),), generator=generator).tolist()
            babble += torch.stack([voice.roll(start) for voice, start in zip(voices, starts, strict=True)])
        yield babble


def _speech_shaped(clips: ClipData, data: TrainingData, subset: str, generator: torch.Generator) -> Iterator[Tensor]:
    batches, others = _clips_and_others(data, subset)
    samples = clips.waveforms.shape[1]
    spectrum = torch.zeros(samples // 2 + 1)
    for batch in others.split(BATCH):
        spectrum += torch.fft.rfft(to_float(clips.waveforms[batch])).abs().square().sum(0)
    for batch in batches:
        white = torch.randn(len(batch), samples, generator=generator)
        yield torch.fft.irfft(torch.fft.rfft(white) * spectrum.sqrt(), samples)


def _swelling(clips: ClipData, data: TrainingData, subset: str, generator: torch.Generator) -> Iterator[Tensor]:
    samples = clips.waveforms.shape[1]
    time = torch.arange(samples) / SAMPLE_RATE
    for batch in _clips_and_others(data, subset)[0]:
        brown = torch.stack([coloured_noise(samples, 2.0, generator) for _ in batch])
        spectrum = torch.fft.rfft(brown)
        spectrum[:, : LOWEST_HZ * samples // SAMPLE_RATE] = 0
        turns = torch.empty(len(batch), 1).uniform_(*SWELLS_HZ, generator=generator) * time
        turns = turns + torch.rand(len(batch), 1, generator=generator)
        yield torch.fft.irfft(spectrum, samples) * (1 + torch.sin(2 * torch.pi * turns))


UNHEARD = {"babble": _babble, "speech-shaped": _speech_shaped, "swelling": _swelling}
"""How each kind is made."""


def _clips_and_others(data: TrainingData, subset: str) -> tuple[tuple[Tensor, ...], Tensor]:
    """The clips of a subset, ``BATCH`` at a time, and those of them that are of other words."""
    within = torch.from_numpy(data.split[subset])
    return within.split(BATCH), within[data.labels[within] == 0]


def _draw(clips: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return clips[torch.randint(len(clips), (count,), generator=generator)]
