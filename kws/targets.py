"""What a student is to learn from its teacher: the teacher's logits and layer outputs for every view of every training clip, computed once.

Both networks are plain: outputs are taken by forward hooks on the names of their modules (``tap``). A layer's steps are compared
at the same time in the sound, wherever the two networks put their steps (``alignment``).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kws.checkpoint import load_model, load_provenance
from kws.data.jobs import in_order, one_thread
from kws.data.storage import fingerprint, raw_weights
from kws.split import require_split
from kws.views import TrainingData

VERSION = 1  # of what targets hold: raise it when that changes, or students taught before would be taken for new ones
BATCH = 256
LAYERS = ("convolution", "recurrent.0", "recurrent.1", "attention", "blocks", "classifier")
COMPONENTS = 64  # principal components kept of a teacher's layer: no more than its student needs, and noise stays out


class DistillError(ValueError):
    """Teacher, student and config that do not fit each other; the message names both sides."""


@dataclass(frozen=True)
class Targets:
    """What a teacher says of every view of every training clip.

    Attributes:
        logits: (views + 1, train clips, classes), the clips as recorded coming last.
        layers: by module name, whitened principal components (views + 1, train clips, steps, components) float16.
        ends: by module name, the frame at which each step's sound ends (steps,).
        n_mels: bands of the teacher's front end.
        split: fingerprint that the targets belong to.
        key: names all of it.
    """

    logits: Tensor
    layers: dict[str, Tensor]
    ends: dict[str, Tensor]
    n_mels: int
    split: str
    key: str


@torch.no_grad()
@one_thread()
def teach(teacher: str | Path, data: TrainingData, layers: Sequence[str] = (), progress: bool = True) -> Targets:
    """The targets of a saved teacher for these training clips. ``layers`` are module names of the teacher.

    Refuses a teacher of another keyword, and (``SplitMismatch``) of another split: it may have heard the student's test clips.
    """
    provenance = load_provenance(teacher)
    if provenance.keyword != data.keyword:
        raise DistillError(
            f"the teacher {teacher} hears {provenance.keyword!r}, the student is to hear {data.keyword!r}"
        )
    require_split(provenance.split, data.split)
    # The clips as recorded come last, after the augmented views.
    model = load_model(teacher)
    if model.config.n_mels != data.log_mel.shape[1]:
        raise DistillError(
            f"the teacher {teacher} takes log-mels of {model.config.n_mels} bands, the student's data have {data.log_mel.shape[1]}"
        )
    views = [*data.views, data.log_mel[torch.from_numpy(data.split.train)]]
    # As many clips as there are, of all views in turn: white must be what the student is trained on, noise and all.
    mixed = torch.cat([view[i :: len(views)].float() for i, view in enumerate(views)])
    with tap(model, layers, "teacher") as outputs:
        model(mixed)
        basis = {name: whitening(as_steps(outputs[name])) for name in layers}

    def say(view: Tensor) -> list[np.ndarray]:
        said: list[list[Tensor]] = [[] for _ in range(len(layers) + 1)]
        with torch.no_grad(), tap(model, layers, "teacher") as outputs:
            for batch in view.split(BATCH):
                said[0].append(model(batch.float()))
                for part, (name, (mean, axes)) in zip(said[1:], basis.items(), strict=True):
                    part.append(((as_steps(outputs[name]) - mean) @ axes).half())
        return [torch.cat(part).numpy() for part in said]

    # Each view on its own, in as many processes as there are cores.
    found = list(in_order(lambda i: say(views[i]), range(len(views)), "the teacher speaks", "view", progress=progress))
    logits, *outs = (torch.from_numpy(np.stack(part)) for part in zip(*found, strict=True))
    taught = dict(zip(layers, outs, strict=True))
    ends = {name: step_ends(model, name, views[-1].shape[2], out.shape[2]) for name, out in taught.items()}
    key = fingerprint(VERSION, data.key, sorted(layers), *raw_weights(model))
    return Targets(logits, taught, ends, model.config.n_mels, data.split.fingerprint, key)


@contextmanager
def tap(model: nn.Module, names: Sequence[str], whose: str = "model") -> Iterator[dict[str, Tensor]]:
    """Collect what the modules of these names put out, by forward hooks, while the context lasts."""
    outputs: dict[str, Tensor] = {}
    modules = dict(model.named_modules())
    for name in names:
        if name not in modules or not name:
            known = [module for module in LAYERS if module in modules]
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
    if output.dim() == 4:  # (batch, channels, bands, steps)
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
    """(student steps, teacher steps): what the teacher says when a student's step ends, by linear interpolation in time."""
    if len(teacher_ends) == 1:
        return torch.ones(len(student_ends), 1)
    # Before its first step and after its last the teacher says what it says there.
    time = student_ends.clamp(teacher_ends[0], teacher_ends[-1])
    left = (torch.searchsorted(teacher_ends, time, right=True) - 1).clamp(0, len(teacher_ends) - 2)
    share = (time - teacher_ends[left]) / (teacher_ends[left + 1] - teacher_ends[left])
    # Each row has the shares of the two steps around, which sum to 1.
    result = torch.zeros(len(student_ends), len(teacher_ends))
    rows = torch.arange(len(student_ends))
    result[rows, left] = 1 - share
    result[rows, left + 1] = share
    return result


def whitening(steps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (features,) and axes (features, components): ``(x - mean) @ axes`` has mean 0 and the unit matrix as covariance.

    A layer without any variance is refused.
    """
    # The principal components of all steps (clips * steps, features), in double precision.
    flat = steps.flatten(0, 1).double()
    mean = flat.mean(0)
    variances, directions = torch.linalg.eigh((flat - mean).T @ (flat - mean) / len(flat))
    # Directions with less than a millionth of the largest variance are noise.
    kept = (variances > 1e-6 * variances[-1]) & (variances > 1e-12)
    kept[:-COMPONENTS] = False
    if not kept.any():
        raise DistillError("a layer of the teacher says the same of every clip: there is nothing to learn from it")
    axes = directions[:, kept] / variances[kept].sqrt()
    return mean.float(), axes.float()
