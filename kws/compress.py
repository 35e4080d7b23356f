"""Making a trained model smaller without training: batch norm folded into the convolution, float16 and int8 storage.

Storage is about files (``kws.data.tensors``): a model is computed in float32 whatever it was stored in.
"""

from dataclasses import replace

import torch
from torch import nn

from kws.data.tensors import restore, store
from kws.model import CRNN, build


@torch.no_grad()
def fold_batch_norm(model: nn.Module) -> nn.Module:
    """The same function of the log-mel, in eval mode, without batch norm: its scale and shift go into the convolutions before it.

    Another kind of network, or one without batch norm, is returned as it is.
    """
    if not isinstance(model, CRNN) or not model.config.norm:
        return model
    # Everything but the convolutions stays as it is.
    folded = type(model)(replace(model.config, norm=False))
    kept = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("convolution.")}
    theirs, names = _convolutions(model), [f"convolution.{place}" for place in _convolutions(folded)]
    norms = [m for m in model.convolution if isinstance(m, nn.BatchNorm2d)]
    norms = [None] * (len(names) - len(norms)) + norms  # the first of a separable convolution has none
    for name, place, norm in zip(names, theirs, norms, strict=True):
        weight, bias = model.convolution[place].weight, model.convolution[place].bias
        if norm is not None:
            # norm(w x + b) = scale w x + scale (b - mean) + shift
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            weight, bias = weight * scale[:, None, None, None], (bias - norm.running_mean) * scale + norm.bias
        kept[f"{name}.weight"], kept[f"{name}.bias"] = weight, bias
    folded.load_state_dict(kept)
    return folded.eval()


def _convolutions(model: CRNN) -> list[int]:
    """Their places in ``model.convolution``."""
    return [i for i, layer in enumerate(model.convolution) if isinstance(layer, nn.Conv2d)]


def as_stored(model: nn.Module, storage: str, packed: bool) -> nn.Module:
    """A copy of a model with the values that a checkpoint of this storage would give, in eval mode."""
    copy = build(model.config)
    copy.load_state_dict(restore(store(model.state_dict(), storage, packed), model.state_dict()))
    return copy.eval()
