"""Several teachers as one."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from kws.data.storage import fingerprint
from kws.targets import DistillError, Targets


def mean_targets(targets: Sequence[Targets]) -> Targets:
    """Of several teachers for the same clips: the mean of their logits, and the layers of the first.

    Raises ``DistillError`` for none, or for targets of another split, front end or shape.
    """
    if len({(said.split, said.n_mels, said.logits.shape) for said in targets}) != 1:
        raise DistillError(f"{len(targets)} targets, which must be one or more, of the same split, views and front end")
    if len(targets) == 1:
        return targets[0]
    logits = torch.stack([said.logits for said in targets]).mean(0)
    return replace(targets[0], logits=logits, key=fingerprint([said.key for said in targets]))
