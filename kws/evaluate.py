"""Judging a model on the clips of a subset, and keyword probabilities for any waveform."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kws.checkpoint import Provenance, load_model, load_provenance
from kws.data.audio import SAMPLE_RATE, fit_to_length
from kws.data.jobs import one_thread
from kws.features import front_end_of
from kws.model import CRNN
from kws.split import require_split
from kws.views import TrainingData


@torch.no_grad()
@one_thread()
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
    # Every clip is brought to a second, which is what the model was trained on.
    clips = fit_to_length(waveform.float(), SAMPLE_RATE)
    return probabilities(model, front_end_of(model.config)(clips), next(model.parameters()).device)


def judge(model: CRNN, data: TrainingData, subset: str = "test") -> tuple[np.ndarray, np.ndarray]:
    """Keyword probabilities and labels, both (clips,), of a subset's clips as recorded: what ``kws.metrics`` takes."""
    # As recorded: views are for training only.
    clips = torch.from_numpy(data.split[subset])
    return probabilities(model, data.log_mel[clips]).numpy(), data.labels[clips].numpy()


def judge_checkpoint(path: str | Path, data: TrainingData, subset: str = "test") -> tuple[np.ndarray, np.ndarray]:
    """``judge`` for a saved model. Refuses (``SplitMismatch``) a split it was not trained with: test clips could have leaked."""
    # A model may be judged on its own keyword and its own split only.
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
