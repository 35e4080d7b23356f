"""Harder conditions for finished networks, and where they err: noise added, words like the keyword, noise alone, the hardest clips."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from kws.data.acoustics import mix_at_snr
from kws.data.audio import to_float
from kws.data.augment import cut_noises
from kws.data.corpus import CLIP_SAMPLES, Corpus, load_noises, recorded_noises
from kws.features import BATCH, LogMel, log_mels
from kws.metrics import fa_fr_curve
from kws.research.unheard import unheard_noise
from kws.views import ClipData, TrainingData
from kws.voices.espeak import Espeak
from kws.voices.phonemes import nearest, plain_phonemes

RECORDED = "recorded"
"""The noise of the corpus' own recordings, which training hears."""
CONFUSABLE = 8  # words of a corpus, those that sound nearest to the keyword


def in_noise(
    clips: ClipData,
    data: TrainingData,
    snr_db: float,
    subset: str = "test",
    seed: int = 0,
    noise: str = RECORDED,
    front_end: LogMel | None = None,
) -> TrainingData:
    """The same data with noise added to a subset's clips at one SNR (dB): the corpus's own, or a kind of ``UNHEARD``.

    The same seed gives each clip the same noise at every SNR. ``front_end`` is the one that made the data's log-mels, if not the usual one.
    """
    batches = torch.from_numpy(data.split[subset]).split(BATCH)
    if noise == RECORDED:
        generator, noises = torch.Generator().manual_seed(seed), load_noises(clips.corpus)
        added = (cut_noises(noises, len(batch), clips.waveforms.shape[1], generator) for batch in batches)
    else:
        added = unheard_noise(noise, clips, data, subset, seed)
    # A few clips at a time, as features are made.
    log_mel = data.log_mel.clone()
    for batch, sound in zip(batches, added, strict=True):
        waveforms = to_float(clips.waveforms[batch])
        mixed = mix_at_snr(waveforms, sound, torch.full((len(batch), 1), snr_db))
        log_mel[batch] = log_mels(mixed, front_end)
    return replace(data, log_mel=log_mel)


def confusable_words(words: Iterable[str], said: str, count: int = CONFUSABLE) -> list[str]:
    """The words, by their phonemes in American English, in which a piece sounds most like what is ``said``; the nearest first.

    Words that hold it, such as "unhappy" of "happy", are left out.
    """
    espeak = Espeak()
    # Of homophones one stands for all.
    by_sound: dict[tuple[str, ...], list[str]] = {}
    for word in sorted(words):
        by_sound.setdefault(tuple(plain_phonemes(espeak.phonemes(word.replace("_", " ")))), []).append(word)
    runs = nearest(by_sound, (), tuple(espeak.phonemes(said.replace("_", " "))), (count, 0))
    return [word for (sound,) in runs for word in by_sound[sound]]


def noise_alone(corpus: Corpus, hop: int = 8000) -> dict[str, Tensor]:
    """Log-mels (pieces, 40, 101) of seconds of noise without any word, one every ``hop`` samples, by recording."""
    return {path.stem: log_mels(noise.unfold(0, CLIP_SAMPLES, hop)) for path, noise in recorded_noises(corpus).items()}


def hardest(
    data: TrainingData, p: np.ndarray, labels: np.ndarray, count: int, subset: str = "test"
) -> tuple[Tensor, list[str]]:
    """The keyword clips of lowest and the other clips of highest probability, ``count`` of each: indices and titles."""
    worst_keyword = np.flatnonzero(labels == 1)[np.argsort(p[labels == 1])[:count]]
    worst_other = np.flatnonzero(labels == 0)[np.argsort(-p[labels == 0])[:count]]
    rows = np.concatenate([worst_keyword, worst_other])
    clips = data.split[subset][rows]
    titles = [
        f"{data.corpus.clips[i].name.replace('_nohash_', ' ')}\np = {p[row]:.3f}"
        for i, row in zip(clips, rows, strict=True)
    ]
    return torch.from_numpy(clips), titles


def threshold_at(p: np.ndarray, labels: np.ndarray, false_alarms: float) -> float:
    """The lowest threshold with at most this share of all clips falsely accepted."""
    thresholds, alarms, _ = fa_fr_curve(p, labels)
    return float(thresholds[np.argmax(alarms <= false_alarms)])
