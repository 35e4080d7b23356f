"""Several teachers as one."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from kws.data.storage import fingerprint
from kws.targets import DistillError, Targets


def mean_targets(targets: Sequence[Targets], views: int | None = None) -> Targets:
    """Of several teachers for the same clips: the mean of their logits, and the layers of the first.

    ``views`` keeps what is said of so many views, and of the clips as recorded.

    Raises ``DistillError`` for none, or for targets of another split, front end or shape.
    """
    if views is not None:
        targets = [of_views(said, views) for said in targets]
    if len({(said.split, said.n_mels, said.logits.shape) for said in targets}) != 1:
        raise DistillError(f"{len(targets)} targets, which must be one or more, of the same split, views and front end")
    if len(targets) == 1:
        return targets[0]
    logits = torch.stack([said.logits for said in targets]).mean(0)
    return replace(targets[0], logits=logits, key=fingerprint([said.key for said in targets]))


def of_views(said: Targets, views: int) -> Targets:
    """What is said of so many views, the first, and of the clips as recorded, which come last."""
    if len(said.logits) == views + 1:
        return said

    def cut(tensor: torch.Tensor) -> torch.Tensor:
        return torch.cat([tensor[:views], tensor[-1:]])

    layers = {name: cut(outputs) for name, outputs in said.layers.items()}
    return replace(said, logits=cut(said.logits), layers=layers, key=fingerprint(said.key, views))
