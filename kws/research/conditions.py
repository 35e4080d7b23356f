"""Harder conditions for finished networks, and where they err: noise added, noise alone, the hardest clips."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from kws.data.acoustics import mix_at_snr
from kws.data.audio import to_float
from kws.data.augment import cut_noises
from kws.data.corpus import CLIP_SAMPLES, Corpus, load_noises, recorded_noises
from kws.features import BATCH, log_mels
from kws.metrics import fa_fr_curve
from kws.views import ClipData, TrainingData


def in_noise(clips: ClipData, data: TrainingData, snr_db: float, subset: str = "test", seed: int = 0) -> TrainingData:
    """The same data with the corpus's noises added to a subset's clips at one SNR, for evaluation in harder conditions."""
    generator = torch.Generator().manual_seed(seed)
    noises = load_noises(clips.corpus)
    log_mel = data.log_mel.clone()
    for batch in torch.from_numpy(data.split[subset]).split(BATCH):
        waveforms = to_float(clips.waveforms[batch])
        noise = cut_noises(noises, *waveforms.shape, generator)
        log_mel[batch] = log_mels(mix_at_snr(waveforms, noise, torch.full((len(batch), 1), snr_db)))
    return replace(data, log_mel=log_mel)


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
