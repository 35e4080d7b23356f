"""Training on one-second clips: the objective of clips, and one call that trains a network.

A batch holds random augmented views of clips and, at times, a clip as recorded. The loss is cross-entropy with the label or,
for a student, what ``kws.distill`` makes of its teacher's targets.
"""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kws.data.runs import drive, state_path
from kws.data.storage import fingerprint
from kws.distill import Distillation, DistillConfig
from kws.evaluate import probabilities
from kws.metrics import au_fa_fr
from kws.model import CRNNConfig
from kws.targets import Targets, tap
from kws.trainer import VERSION, Judgement, Objective, Run, TrainConfig, Trainer, TrainingError
from kws.views import TrainingData

__all__ = ["ClipObjective", "Run", "TrainConfig", "Trainer", "TrainingError", "drive", "train"]


class ClipBatch(NamedTuple):
    """log_mel (batch, n_mels, frames); labels (batch,); views (batch,), the last being "as recorded"; rows (batch,) of the training clips."""

    log_mel: Tensor
    labels: Tensor
    views: Tensor
    rows: Tensor


class ClipObjective(Objective):
    """Tell the keyword's clips from others, from labels or from a teacher's ``targets`` as ``distill`` says.

    Raises ``ValueError`` for data without views, which serve for evaluation only.
    """

    def __init__(
        self,
        data: TrainingData,
        config: TrainConfig = TrainConfig(),
        targets: Targets | None = None,
        distill: DistillConfig = DistillConfig(),
        device: torch.device = torch.device("cpu"),
    ):
        super().__init__()
        if not len(data.views):
            raise ValueError("these data have no views, so they serve for evaluation only: make them with 1 or more")
        self.data, self.config, self.targets, self.distill, self.device = data, config, targets, distill, device
        # Half of the clips drawn are of the keyword, however rare it is.
        self.clips = torch.from_numpy(data.split.train)
        holds = data.labels[self.clips] == 1
        share = config.keyword_share
        self.chances = torch.where(holds, share / holds.sum(), (1 - share) / (~holds).sum())
        self.distillation: Distillation | None = None

    def attach(self, model: nn.Module) -> None:
        if self.targets:
            self.distillation = Distillation(model, self.targets, self.distill, self.data.split.fingerprint)

    def batch(self, rows: Tensor, generator: torch.Generator) -> ClipBatch:
        """A random view of each clip or, for ``clean_share`` of them, the clip as recorded."""
        clips = self.clips[rows]
        views = torch.randint(len(self.data.views), (len(rows),), generator=generator)
        log_mel = self.data.views[views, rows].float()
        clean = torch.rand(len(rows), generator=generator) < self.config.clean_share
        log_mel[clean] = self.data.log_mel[clips[clean]]
        views[clean] = len(self.data.views)
        return ClipBatch(log_mel.to(self.device), self.data.labels[clips].to(self.device), views, rows)

    def loss(self, model: nn.Module, batch: ClipBatch) -> tuple[Tensor, dict[str, Tensor]]:
        # Layers' outputs are taken by forward hooks: the network knows nothing of distillation.
        with tap(model, self.distillation.student_layers if self.distillation else ()) as outputs:
            logits = model(batch.log_mel)
        loss = nn.functional.cross_entropy(logits, batch.labels, label_smoothing=self.config.label_smoothing)
        if self.distillation is None:
            return loss, {}
        return self.distillation(logits, outputs, batch.labels, loss, batch.views, batch.rows)

    def judge(self, model: nn.Module) -> Judgement:
        """On the validation clips as recorded."""
        clips = torch.from_numpy(self.data.split.validation)
        p = probabilities(model, self.data.log_mel[clips], self.device).double()
        if not torch.isfinite(p).all():
            return Judgement(float("nan"), float("nan"))
        labels = self.data.labels[clips]
        return Judgement(au_fa_fr(p, labels), float(nn.functional.binary_cross_entropy(p, labels.double())))


def train(
    data: TrainingData,
    model_config: Any = CRNNConfig(),
    config: TrainConfig = TrainConfig(),
    seed: int = 0,
    targets: Targets | None = None,
    distill: DistillConfig = DistillConfig(),
    runs: str | Path | None = None,
    device: str | torch.device | None = None,
    name: str = "training",
    progress: bool = True,
) -> Run:
    """Train one network; on one kind of CPU the same data, configs and seed give the same weights.

    Args:
        data: clips of one keyword under one split, with views.
        targets: of a teacher (``kws.targets.teach``); the loss is then what ``distill`` says.
        runs: folder for the state after every epoch: a killed run goes on from it, a finished one is loaded.
        device: a GPU if there is one.

    Raises ``TrainingError`` if the loss is no longer a number.
    """
    # What a run hangs on names its state: another recipe or other data never take it for theirs.
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    learning = (targets.key, distill) if targets else ()
    key = fingerprint(VERSION, data.key, model_config, config, seed, device.type, *learning)

    def make() -> Trainer:
        return Trainer(ClipObjective(data, config, targets, distill, device), model_config, config, seed, device)

    return drive(make, state_path(runs, name, seed, key), progress, name)
