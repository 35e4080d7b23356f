"""Layer-wise distillation: a student learns from labels, from a teacher's logits, and layer by layer from what the teacher computes.

A layer of the student and one of the teacher are compared in one space, into which a learned linear projection head takes each
of them, by the mean squared error. Heads are trained with the student and thrown away. Both models are plain: outputs are taken by
forward hooks on the names of their modules.

Two heads that learn to say nothing would agree perfectly. That cannot happen here: the teacher's outputs are whitened (every
direction has variance 1) and its head has orthonormal rows, so each axis of the common space has variance 1 whatever the
head learns. The error of a pair is therefore a share: 1 when the student tells nothing of the teacher's layer, 0 when it tells all.

Sources: FitNets (Romero et al. 2015, arXiv:1412.6550) for learning from layers through a projection; Hinton et al. 2015
(arXiv:1503.02531) for logits at a temperature.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from kws.checkpoint import load_model, load_provenance
from kws.data.storage import fingerprint, raw_weights
from kws.split import require_split
from kws.views import TrainingData

VERSION = 1  # of what lessons hold: raise it when that changes, or students taught before would be taken for new ones
BATCH = 256
LAYERS = ("convolution", "recurrent.0", "recurrent.1", "attention")
COMPONENTS = (
    64  # principal components kept of a teacher's layer: the space is no wider than its student's, and noise stays out
)


class DistillError(ValueError):
    """Teacher, student and config that do not fit each other; the message names both sides."""


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


@dataclass(frozen=True)
class Lessons:
    """What a teacher says of every view of every training clip, computed once.

    Attributes:
        logits: (views + 1, train clips, classes), the clips as recorded coming last.
        layers: by module name, whitened principal components (views + 1, train clips, steps, components) float16.
        ends: by module name, the frame at which each step's sound ends (steps,).
        n_mels: bands of the teacher's front end. split: fingerprint that the lessons belong to. key names all of it.
    """

    logits: Tensor
    layers: dict[str, Tensor]
    ends: dict[str, Tensor]
    n_mels: int
    split: str
    key: str


def teach(teacher: str | Path, data: TrainingData, layers: Sequence[str] = ()) -> Lessons:
    """The lessons of a saved teacher for these training clips. ``layers`` are module names of the teacher.

    Refuses a teacher of another keyword, and (``SplitMismatch``) of another split: it may have heard the student's test clips.
    """
    provenance = load_provenance(teacher)
    if provenance.keyword != data.keyword:
        raise DistillError(
            f"the teacher {teacher} hears {provenance.keyword!r}, the student is to hear {data.keyword!r}"
        )
    require_split(provenance.split, data.split)
    model = load_model(teacher)
    if model.config.n_mels != data.log_mel.shape[1]:
        raise DistillError(
            f"the teacher {teacher} takes log-mels of {model.config.n_mels} bands, the student's data have {data.log_mel.shape[1]}"
        )
    clean = data.log_mel[torch.from_numpy(data.split.train)]
    views = [*data.views, clean]
    # As many clips as there are, of all views in turn: white must be what the student is trained on, noise and all.
    mixed = torch.cat([view[i :: len(views)].float() for i, view in enumerate(views)])
    with torch.no_grad(), tap(model, layers, "teacher") as outputs:
        model(mixed)
        basis = {name: _whitening(as_steps(outputs[name])) for name in layers}
        logits, said = [], {name: [] for name in layers}
        for view in tqdm(views, "the teacher speaks", unit="view"):
            for batch in view.split(BATCH):
                logits.append(model(batch.float()))
                for name, (mean, axes) in basis.items():
                    said[name].append(((as_steps(outputs[name]) - mean) @ axes).half())
    by_view = (len(views), len(clean))
    return Lessons(
        torch.cat(logits).unflatten(0, by_view),
        {name: torch.cat(parts).unflatten(0, by_view) for name, parts in said.items()},
        {name: step_ends(model, name, clean.shape[2], said[name][0].shape[1]) for name in layers},
        model.config.n_mels,
        data.split.fingerprint,
        fingerprint(VERSION, data.key, sorted(layers), *raw_weights(model)),
    )


def mean_lessons(lessons: Sequence[Lessons]) -> Lessons:
    """The lessons of several teachers for the same clips: the mean of their logits, and the layers of the first.

    Raises ``DistillError`` for none, or for lessons of another split, front end or shape.
    """
    if len({(said.split, said.n_mels, said.logits.shape) for said in lessons}) != 1:
        raise DistillError(f"{len(lessons)} lessons, which must be one or more, of the same split, views and front end")
    if len(lessons) == 1:
        return lessons[0]
    logits = torch.stack([said.logits for said in lessons]).mean(0)
    return replace(lessons[0], logits=logits, key=fingerprint([said.key for said in lessons]))


class Distillation(nn.Module):
    """The loss of a student, and the projection heads that go with it. Call it inside ``tap(student, names)``."""

    def __init__(self, student: nn.Module, lessons: Lessons, config: DistillConfig, split: str):
        super().__init__()
        self.config, self.lessons = config, lessons
        if split != lessons.split:
            raise DistillError(
                f"the lessons belong to the split {lessons.split[:12]}, the student's clips to {split[:12]}: teach again"
            )
        if student.config.n_mels != lessons.n_mels:
            raise DistillError(
                f"the student takes log-mels of {student.config.n_mels} bands, its teacher of {lessons.n_mels}"
            )
        self.pairs = config.pairs if config.layers else ()
        for student_layer, teacher_layer in self.pairs:
            if teacher_layer not in lessons.layers:
                raise DistillError(
                    f"the pair {student_layer!r} with {teacher_layer!r}: the teacher taught {', '.join(lessons.layers) or 'no layers'}; "
                    "give its name to teach()"
                )
        frames = max(student.config.least_frames, 101)
        with torch.no_grad(), tap(student.eval(), [name for name, _ in self.pairs], "student") as outputs:
            student(torch.zeros(1, student.config.n_mels, frames, device=next(student.parameters()).device))
            shapes = {name: as_steps(output).shape for name, output in outputs.items()}
        self.student_heads, self.teacher_heads = nn.ModuleList(), nn.ModuleList()
        for i, (mine, other) in enumerate(self.pairs):
            components = lessons.layers[other].shape[-1]
            width = min(config.width, components)
            self.student_heads.append(nn.Linear(shapes[mine][2], width))
            self.teacher_heads.append(
                nn.utils.parametrizations.orthogonal(nn.Linear(components, width, bias=False), orthogonal_map="cayley")
            )
            ends = step_ends(student, mine, frames, shapes[mine][1])
            self.register_buffer(f"alignment{i}", alignment(ends, lessons.ends[other]), persistent=False)

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
            logits: of the student (batch, classes). outputs: of its layers, from ``tap``.
            labels: (batch,). label_loss: its cross-entropy. views, rows: (batch,) which lesson each clip takes.
        """
        config, device = self.config, logits.device
        loss = config.labels * label_loss
        if config.logits:
            t = config.temperature
            wanted = torch.softmax(self.lessons.logits[views, rows].to(device) / t, 1)
            kl = nn.functional.kl_div(torch.log_softmax(logits / t, 1), wanted, reduction="batchmean")
            loss = loss + config.logits * t * t * kl
        if config.ranking:
            scores = logits[:, 1] - logits[:, 0]
            behind = scores[labels == 0] - scores[labels == 1][:, None]
            if behind.numel():  # the last batch of an epoch may be a few clips of one kind
                loss = loss + config.ranking * nn.functional.softplus(behind).mean()
        errors = {}
        for i, (mine, other) in enumerate(self.pairs):
            taught = self.lessons.layers[other][views, rows].to(device).float()
            taught = self.teacher_heads[i](getattr(self, f"alignment{i}") @ taught)
            learned = self.student_heads[i](as_steps(outputs[mine]))
            errors[f"{mine} from {other}"] = (learned - taught).square().mean()
        if errors:
            loss = loss + config.layers * torch.stack(list(errors.values())).mean()
        return loss, errors


@contextmanager
def tap(model: nn.Module, names: Sequence[str], whose: str = "model") -> Iterator[dict[str, Tensor]]:
    """Collect what the modules of these names put out, by forward hooks, while the context lasts."""
    outputs: dict[str, Tensor] = {}
    modules = dict(model.named_modules())
    for name in names:
        if name not in modules or not name:
            known = [module for module in (*LAYERS, "blocks", "classifier") if module in modules]
            raise DistillError(f"the {whose} has no layer {name!r}; it has {', '.join(known)}")

    def keep(name: str):
        def hook(module, inputs, output):
            outputs[name] = output[0] if isinstance(output, tuple) else output

        return hook

    handles = [modules[name].register_forward_hook(keep(name)) for name in names]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def as_steps(output: Tensor) -> Tensor:
    """A layer's output as (batch, steps, features): a picture's channels and bands become features, a vector is one step."""
    if output.dim() == 4:
        return output.flatten(1, 2).transpose(1, 2)
    return output if output.dim() == 3 else output.unsqueeze(1)


def step_ends(model: nn.Module, name: str, frames: int, steps: int) -> Tensor:
    """The frame at which the sound that a layer's step has heard ends: of the whole clip for a layer with one step."""
    config = model.config
    # Within several convolutions, each has steps of its own.
    within = name.startswith("convolution.") and getattr(config, "deeper", ())
    if steps == 1 or within or not name.startswith(("convolution", "recurrent")) or not hasattr(config, "pool"):
        if steps > 1:
            raise DistillError(f"the steps of the layer {name!r} of a {type(model).__name__} have no known times")
        return torch.tensor([float(frames)])
    return torch.arange(steps) * float(config.step_frames) + config.least_frames


def alignment(student_ends: Tensor, teacher_ends: Tensor) -> Tensor:
    """(student steps, teacher steps): what the teacher says when a student's step ends, by linear interpolation in time.

    Before its first step and after its last the teacher says what it says there. Rows sum to 1.
    """
    if len(teacher_ends) == 1:
        return torch.ones(len(student_ends), 1)
    time = student_ends.clamp(teacher_ends[0], teacher_ends[-1])
    left = (torch.searchsorted(teacher_ends, time, right=True) - 1).clamp(0, len(teacher_ends) - 2)
    share = (time - teacher_ends[left]) / (teacher_ends[left + 1] - teacher_ends[left])
    result = torch.zeros(len(student_ends), len(teacher_ends))
    rows = torch.arange(len(student_ends))
    result[rows, left] = 1 - share
    result[rows, left + 1] = share
    return result


def _whitening(steps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (features,) and axes (features, components): ``(x - mean) @ axes`` has mean 0 and the unit matrix as covariance.

    Directions with less than a millionth of the largest variance are left out; a layer without any variance is refused.
    """
    flat = steps.flatten(0, 1).double()
    mean = flat.mean(0)
    variances, directions = torch.linalg.eigh((flat - mean).T @ (flat - mean) / len(flat))
    kept = (variances > 1e-6 * variances[-1]) & (variances > 1e-12)
    kept[:-COMPONENTS] = False
    if not kept.any():
        raise DistillError("a layer of the teacher says the same of every clip: there is nothing to learn from it")
    axes = directions[:, kept] / variances[kept].sqrt()
    return mean.float(), axes.float()
