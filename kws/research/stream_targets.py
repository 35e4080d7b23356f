"""What teachers of streams say of every training scene, for their students."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from kws.data.jobs import in_order
from kws.data.storage import fingerprint
from kws.research.scene_data import VERSION, SceneData, weights_of
from kws.research.stepwise import stepwise
from kws.scenes.batches import BATCH
from kws.targets import alignment


@dataclass(frozen=True)
class StreamTargets:
    """The mean logits of teachers.

    Attributes:
        logits: (training scenes, steps, classes) float16.
        ends: frames (steps,) with which the steps end.
        key: names all of it.
    """

    logits: Tensor
    ends: Tensor
    key: str


def teach_stream(teachers: Sequence[nn.Module], data: SceneData) -> StreamTargets:
    """What teachers say of all training scenes, at the times of the first kind's steps.

    Kinds of teacher, by what they hear, weigh the same however many there are of each: they differ more in what they mistake
    for the keyword. Raises ``ValueError`` without a teacher, or for teachers of one kind whose steps differ.
    """
    networks = [stepwise(teacher) for teacher in teachers]
    kinds = sorted(
        {network.hears for network in networks}, reverse=True
    )  # log-mels first: their steps are the students'
    if not kinds:
        raise ValueError("no teachers: there must be one or more")
    frames = data.train.labels.shape[1]
    said, ends = [], []
    for kind in kinds:
        alike = [network for network in networks if network.hears == kind]
        if len({tuple(network.ends(frames).tolist()) for network in alike}) != 1:
            raise ValueError(f"{len(alike)} teachers that hear {kind} do not have the same steps")
        said.append(_mean_logits(alike, data.train.heard(kind)))
        ends.append(alike[0].ends(frames))
    logits = torch.stack([alignment(ends[0], at) @ these for these, at in zip(said, ends, strict=True)]).mean(0)
    weights = [weights_of([t for t, n in zip(teachers, networks, strict=True) if n.hears == kind]) for kind in kinds]
    return StreamTargets(logits.half(), ends[0], fingerprint(VERSION, data.key, weights))


def _mean_logits(networks: Sequence, heard: Tensor) -> Tensor:
    """(scenes, steps, classes), in as many processes as there are cores."""

    @torch.no_grad()
    def say(first: int) -> np.ndarray:
        batch = heard[first : first + BATCH].float()
        return torch.stack([network.whole(batch) for network in networks]).mean(0).numpy()

    starts = range(0, len(heard), BATCH)
    return torch.from_numpy(np.concatenate(list(in_order(say, starts, "the teachers speak", "batch"))))
