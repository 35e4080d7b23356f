"""Judging a model on the clips of a subset, and keyword probabilities for any waveform."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kws.checkpoint import Provenance, load_model, load_provenance
from kws.data.audio import SAMPLE_RATE, fit_to_length
from kws.features import LogMel
from kws.metrics import at_prevalence, bootstrap_interval, fa_fr_curve, one_minus_auc
from kws.model import CRNN
from kws.split import require_split
from kws.views import TrainingData


@torch.no_grad()
def probabilities(model: nn.Module, log_mel: Tensor, device: torch.device | str = "cpu", batch: int = 256) -> Tensor:
    """Keyword probability (clips,) float32 on the CPU of each log-mel (clips, n_mels, frames)."""
    return torch.cat([torch.softmax(model(part.to(device)), 1)[:, 1].cpu() for part in log_mel.split(batch)])


@torch.no_grad()
def keyword_probability(model: CRNN, waveform: Tensor) -> Tensor:
    """Probability that each clip is the keyword, front end included.

    Args:
        model: from ``kws.load_model``.
        waveform: (batch, samples) float in [-1, 1] at 16 kHz. A clip shorter than 1 s is padded with zeros and a longer one
            cropped, on both ends alike.

    Returns:
        (batch,) float32 in [0, 1]. Raises ``ValueError`` for another shape or dtype, or for NaN or infinite samples.
    """
    if waveform.dim() != 2 or not waveform.is_floating_point():
        raise ValueError(
            f"waveform must be float of shape (batch, samples), got {waveform.dtype} of shape {tuple(waveform.shape)}"
        )
    if not torch.isfinite(waveform).all():
        raise ValueError("waveform holds NaN or infinite samples")
    clips = fit_to_length(waveform.float(), SAMPLE_RATE)
    return probabilities(model, _front_end(model.config.n_mels)(clips), next(model.parameters()).device)


@cache
def _front_end(n_mels: int) -> LogMel:
    return LogMel(n_mels)


def judge(model: CRNN, data: TrainingData, subset: str = "test") -> tuple[np.ndarray, np.ndarray]:
    """Keyword probabilities and labels, both (clips,), of a subset's clips as recorded: what ``kws.metrics`` takes."""
    clips = torch.from_numpy(data.split[subset])
    return probabilities(model, data.log_mel[clips]).numpy(), data.labels[clips].numpy()


def judge_checkpoint(path: str | Path, data: TrainingData, subset: str = "test") -> tuple[np.ndarray, np.ndarray]:
    """``judge`` for a saved model. Refuses (``SplitMismatch``) a split it was not trained with: test clips could have leaked."""
    provenance = load_provenance(path)
    if provenance.keyword != data.keyword:
        raise ValueError(f"{path} hears {provenance.keyword!r}, but these clips are labelled for {data.keyword!r}")
    require_split(provenance.split, data.split)
    return judge(load_model(path), data, subset)


def provenance(data: TrainingData, seed: int, metrics: dict[str, float]) -> Provenance:
    """What a checkpoint says of a model that was trained on this data."""
    return Provenance(
        data.keyword, data.corpus.name, data.split.fingerprint, data.split.kind, data.split.seed, seed, metrics
    )


@dataclass(frozen=True)
class Quality:
    """Mean over seeds on one set of clips, with the 95 % bootstrap interval over clips of that mean.

    Each of au_fa_fr, at_speech_commands and one_minus_auc is (mean, low, high); the three differ by a constant factor.
    """

    seeds: int
    clips: int
    keyword_clips: int
    one_minus_auc: tuple[float, float, float]
    spread: float  # standard deviation of 1 - AUC between seeds

    @property
    def au_fa_fr(self) -> tuple[float, ...]:
        """At the prevalence of these clips."""
        return tuple(at_prevalence(value, self.keyword_clips / self.clips) for value in self.one_minus_auc)

    @property
    def at_speech_commands(self) -> tuple[float, ...]:
        """AU_FA_FR at Speech Commands prevalence, 344 in 12,945."""
        return tuple(at_prevalence(value) for value in self.one_minus_auc)


def quality(judged: Sequence[tuple[np.ndarray, np.ndarray]]) -> Quality:
    """Quality of several seeds' models, each judged (probabilities, labels) on the same clips."""
    labels = judged[0][1]
    each = np.array([p for p, _ in judged])
    values = [one_minus_auc(p, labels) for p in each]
    interval = bootstrap_interval(each, labels)
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return Quality(len(values), len(labels), int(labels.sum()), (float(np.mean(values)), *interval), spread)


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
