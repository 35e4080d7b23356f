"""Layer-wise distillation: a student learns from labels, from a teacher's logits, and layer by layer from what the teacher computes.

A layer of the student and one of the teacher are compared in one space, into which a learned linear projection head takes each
of them, by the mean squared error. Heads are trained with the student and thrown away.

Two heads that learn to say nothing would agree perfectly. That cannot happen here: the teacher's outputs are whitened (every
direction has variance 1) and its head has orthonormal rows, so each axis of the common space has variance 1 whatever the
head learns. The error of a pair is therefore a share: 1 when the student tells nothing of the teacher's layer, 0 when it tells all.

Sources: FitNets (Romero et al. 2015, arXiv:1412.6550) for learning from layers through a projection; Hinton et al. 2015
(arXiv:1503.02531) for logits at a temperature.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kws.targets import DistillError, Targets, alignment, as_steps, step_ends, tap


@dataclass(frozen=True)
class DistillConfig:
    """Weights of the terms of the loss, each 0 or more.

    Attributes:
        labels: cross-entropy with the true labels.
        logits: KL divergence from the teacher's probabilities, both softened by ``temperature``, times its square (Hinton et al.).
        ranking: mean of softplus(score of a clip without the keyword - score of one with it) over all such pairs of a batch, the score being
            the log-odds: a smooth upper bound of 1 - AUC (Yan et al. 2003, ICML, "Optimizing classifier performance via
            an approximation to the Wilcoxon-Mann-Whitney statistic").
        layers: mean over ``pairs`` of the error in the common space.
        pairs: (student's module, teacher's module).
        width: dimensions of the common space, at most; fewer where the teacher's layer has fewer.
    """

    labels: float = 1.0
    logits: float = 0.0
    temperature: float = 4.0
    ranking: float = 0.0
    layers: float = 0.0
    pairs: tuple[tuple[str, str], ...] = (
        ("convolution", "convolution"),
        ("recurrent.0", "recurrent.0"),
        ("recurrent.1", "recurrent.1"),
        ("attention", "attention"),
    )
    width: int = 16

    def __post_init__(self) -> None:
        for name in ("labels", "logits", "ranking", "layers", "temperature"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise DistillError(f"{name} is {value}; it must be a number of 0 or more")
        if self.temperature == 0 or self.width < 1:
            raise DistillError("temperature must be positive and width at least 1")
        if self.labels + self.logits + self.ranking + self.layers == 0:
            raise DistillError("labels, logits, ranking and layers are all 0: there is nothing to learn from")
        if self.layers and not self.pairs:
            raise DistillError("layers has a weight, but pairs names no student and teacher layer")


def soften(logits: Tensor, temperature: float) -> Tensor:
    """A teacher's probabilities (..., classes) at a temperature."""
    return torch.softmax(logits / temperature, -1)


def softened_kl(logits: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """KL divergence (...,) of a student's logits (..., classes) from softened probabilities, times the temperature squared.

    The square keeps the gradients' size whatever the temperature (Hinton et al.).
    """
    said = torch.log_softmax(logits / temperature, -1)
    return temperature**2 * nn.functional.kl_div(said, wanted, reduction="none").sum(-1)


class ProjectedPair(nn.Module):
    """The error between a layer of the student and one of its teacher in their common space.

    Args:
        features: of a step of the student's layer.
        taught: of a step of the teacher's.
        in_time: (student steps, teacher steps), from ``kws.targets.alignment``.
        width: dimensions of the common space; without, the teacher's features are that space and have no head.
    """

    def __init__(self, features: int, taught: int, in_time: Tensor, width: int | None = None):
        super().__init__()
        self.register_buffer("in_time", in_time, persistent=False)
        self.student_head = nn.Linear(features, min(width or taught, taught))
        self.teacher_head: nn.Module = nn.Identity()
        if width:
            rows = nn.Linear(taught, min(width, taught), bias=False)
            self.teacher_head = nn.utils.parametrizations.orthogonal(rows, orthogonal_map="cayley")

    def forward(self, mine: Tensor, theirs: Tensor) -> Tensor:
        """Mean squared error of (batch, student steps, features) from (batch, teacher steps, taught)."""
        wanted = self.teacher_head(self.in_time @ theirs.float())  # (batch, student steps, width)
        return (self.student_head(mine.float()) - wanted).square().mean()


class Distillation(nn.Module):
    """The loss of a student, and the projection heads that go with it. Call it inside ``tap(student, student_layers)``.

    Raises ``DistillError`` for a student, targets and config that do not fit each other.
    """

    def __init__(self, student: nn.Module, targets: Targets, config: DistillConfig, split: str):
        super().__init__()
        self.config, self.targets = config, targets
        self.pairs = config.pairs if config.layers else ()
        self.student_layers = [mine for mine, _ in self.pairs]
        self._check(student, split)
        # What shape the student's layers have is seen by running it once.
        frames = max(student.config.least_frames, 101)
        with torch.no_grad(), tap(student.eval(), self.student_layers, "student") as outputs:
            student(torch.zeros(1, student.config.n_mels, frames, device=next(student.parameters()).device))
            shapes = {name: as_steps(output).shape for name, output in outputs.items()}
        self.heads = nn.ModuleList()
        # One head a pair; the teacher's steps are brought to the student's times.
        for mine, other in self.pairs:
            in_time = alignment(step_ends(student, mine, frames, shapes[mine][1]), targets.ends[other])
            self.heads.append(ProjectedPair(shapes[mine][2], targets.layers[other].shape[-1], in_time, config.width))

    def _check(self, student: nn.Module, split: str) -> None:
        targets = self.targets
        if split != targets.split:
            raise DistillError(
                f"the targets belong to the split {targets.split[:12]}, the student's clips to {split[:12]}: teach again"
            )
        if student.config.n_mels != targets.n_mels:
            raise DistillError(
                f"the student takes log-mels of {student.config.n_mels} bands, its teacher of {targets.n_mels}"
            )
        for mine, other in self.pairs:
            if other not in targets.layers:
                raise DistillError(
                    f"the pair {mine!r} with {other!r}: the teacher taught {', '.join(targets.layers) or 'no layers'}; "
                    "give its name to teach()"
                )

    def forward(
        self,
        logits: Tensor,
        outputs: dict[str, Tensor],
        labels: Tensor,
        label_loss: Tensor,
        views: Tensor,
        rows: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, and the error of each layer pair.

        Args:
            logits: of the student (batch, classes).
            outputs: of its layers, from ``tap``.
            labels: (batch,).
            label_loss: their cross-entropy.
            views, rows: (batch,) which target each clip takes.
        """
        # From the labels.
        config, device = self.config, logits.device
        loss = config.labels * label_loss
        # From the teacher's logits.
        if config.logits:
            wanted = soften(self.targets.logits[views, rows].to(device), config.temperature)
            loss = loss + config.logits * softened_kl(logits, wanted, config.temperature).mean()
        # From the order: no other clip should score above one of the keyword.
        if config.ranking:
            scores = logits[:, 1] - logits[:, 0]
            behind = scores[labels == 0] - scores[labels == 1][:, None]
            if behind.numel():  # the last batch of an epoch may be a few clips of one kind
                loss = loss + config.ranking * nn.functional.softplus(behind).mean()
        # From the teacher's layers, each pair in its own common space.
        errors = {}
        for head, (mine, other) in zip(self.heads, self.pairs, strict=True):
            theirs = self.targets.layers[other][views, rows].to(device)
            errors[f"{mine} from {other}"] = head(as_steps(outputs[mine]), theirs)
        if errors:
            loss = loss + config.layers * torch.stack(list(errors.values())).mean()
        return loss, errors
