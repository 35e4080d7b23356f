"""Making a trained model smaller without training: batch norm folded into the convolution, float16 and int8 storage.

Storage is about files: a model is computed in float32 whatever it was stored in. int8 keeps one scale for each output channel of a
matrix or kernel, and one for each vector; the value is ``int8 * scale``, so every machine reads the same float32 numbers.
Packed storage puts all values, in the order of the model's own state dict, into one tensor and all scales into another: a
``torch.save``d file spends some 300 bytes on every tensor, which is most of a model of 1,500 values. The config tells names and
shapes, so a packed file needs no table of them.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from kws.model import CRNN, build

STORED = {"float32": torch.float32, "float16": torch.float16, "int8": torch.int8}
SCALE_SUFFIX = ".scale"


class StorageError(ValueError):
    """Stored tensors that do not fit the model they are said to hold, or values that a storage cannot hold."""


@torch.no_grad()
def fold_batch_norm(model: nn.Module) -> nn.Module:
    """The same function of the log-mel, in eval mode, without batch norm: its scale and shift go into the convolutions before it.

    Another kind of network, or one without batch norm, is returned as it is.
    """
    if not isinstance(model, CRNN) or not model.config.norm:
        return model
    folded = CRNN(replace(model.config, norm=False))
    kept = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("convolution.")}
    theirs, names = _convolutions(model), [f"convolution.{place}" for place in _convolutions(folded)]
    norms = [m for m in model.convolution if isinstance(m, nn.BatchNorm2d)]
    norms = [None] * (len(names) - len(norms)) + norms  # the first of a separable convolution has none
    for name, place, norm in zip(names, theirs, norms, strict=True):
        weight, bias = model.convolution[place].weight, model.convolution[place].bias
        if norm is not None:
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            weight, bias = weight * scale[:, None, None, None], (bias - norm.running_mean) * scale + norm.bias
        kept[f"{name}.weight"], kept[f"{name}.bias"] = weight, bias
    folded.load_state_dict(kept)
    return folded.eval()


def _convolutions(model: CRNN) -> list[int]:
    """Their places in ``model.convolution``."""
    return [i for i, layer in enumerate(model.convolution) if isinstance(layer, nn.Conv2d)]


def store(state: dict[str, Tensor], storage: str = "float32", packed: bool = False) -> dict[str, Tensor]:
    """What a checkpoint holds of a float32 state dict: float32, float16 or int8 tensors, one each or packed.

    Raises ``StorageError`` for an unknown storage, for values beyond float16, for NaN, and for packing integers.
    """
    if storage not in STORED:
        raise StorageError(f"storage is {storage!r}; it must be one of {', '.join(STORED)}")
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    for name, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise StorageError(f"{name} holds NaN or infinite values")
        if storage == "float16" and tensor.is_floating_point() and tensor.abs().max() > torch.finfo(torch.float16).max:
            raise StorageError(f"{name} holds values beyond the range of float16: store it in float32")
        if packed and not tensor.is_floating_point():
            raise StorageError(f"{name} is not a float tensor and cannot be packed: fold the batch norm first")
    stored, scales = {}, {}
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            stored[name] = tensor
        elif storage == "int8":
            stored[name], scales[name] = _to_int8(tensor)
        else:
            stored[name] = tensor.to(STORED[storage])
    if not packed:
        return stored | {name + SCALE_SUFFIX: scale for name, scale in scales.items()}
    values = {"values": torch.cat([tensor.flatten() for tensor in stored.values()])}
    return values | ({"scales": torch.cat([scale.flatten() for scale in scales.values()])} if scales else {})


def restore(stored: dict[str, Tensor], template: dict[str, Tensor]) -> dict[str, Tensor]:
    """The float32 state dict of what ``store`` made; ``template`` is the state dict of a new model of the same config.

    Raises ``StorageError`` where the two do not fit.
    """
    if "values" in stored and "values" not in template:
        stored = _unpack(stored, template)
    scales = {name for name in stored if name.endswith(SCALE_SUFFIX)}
    missing, unknown = template.keys() - stored.keys(), stored.keys() - scales - template.keys()
    if missing or unknown:
        raise StorageError(
            f"it lacks {sorted(missing) or 'nothing'} and has {sorted(unknown) or 'nothing'} that the model has not"
        )
    return {name: _restored(name, stored, tensor) for name, tensor in template.items()}


def as_stored(model: nn.Module, storage: str, packed: bool) -> nn.Module:
    """A copy of a model with the values that a checkpoint of this storage would give, in eval mode. Raises ``StorageError`` as ``store``."""
    copy = build(model.config)
    copy.load_state_dict(restore(store(model.state_dict(), storage, packed), model.state_dict()))
    return copy.eval()


def _restored(name: str, stored: dict[str, Tensor], template: Tensor) -> Tensor:
    tensor = stored[name]
    if tensor.shape != template.shape:
        raise StorageError(f"{name} has shape {tuple(tensor.shape)}, the model's has {tuple(template.shape)}")
    if not template.is_floating_point():
        return tensor
    if tensor.dtype == torch.int8:
        if name + SCALE_SUFFIX not in stored:
            raise StorageError(f"{name} is int8 and has no scale")
        tensor = tensor.float() * stored[name + SCALE_SUFFIX].float()
    elif not tensor.is_floating_point():
        raise StorageError(f"{name} is stored as {tensor.dtype}, which is none of {', '.join(STORED)}")
    if not torch.isfinite(tensor).all():
        raise StorageError(f"{name} holds NaN or infinite values")
    return tensor.float()


def _unpack(stored: dict[str, Tensor], template: dict[str, Tensor]) -> dict[str, Tensor]:
    values = stored["values"]
    shapes = {name: tensor.shape for name, tensor in template.items()}
    result = _cut("values", values, shapes)
    if values.dtype == torch.int8:
        if "scales" not in stored:
            raise StorageError("its values are int8 and have no scales")
        shapes = {name + SCALE_SUFFIX: _scale_shape(tensor) for name, tensor in template.items()}
        result |= _cut("scales", stored["scales"], shapes)
    return result


def _cut(what: str, tensor: Tensor, shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
    sizes = [shape.numel() for shape in shapes.values()]
    if tensor.dim() != 1 or len(tensor) != sum(sizes):
        raise StorageError(f"it has {tensor.numel():,} {what}, the model of its config has {sum(sizes):,}")
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), tensor.split(sizes), strict=True)}


def _scale_shape(tensor: Tensor) -> torch.Size:
    """One scale for each row of a matrix or kernel of a kernel; one for all of a vector."""
    return torch.Size([tensor.shape[0] if tensor.dim() > 1 else 1] + [1] * (tensor.dim() - 1))


def _to_int8(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric: -127 to 127 times a float16 scale, which is rounded up so that nothing is clipped."""
    rows = tensor.flatten(1) if tensor.dim() > 1 else tensor[None]
    scale = rows.abs().amax(1) / 127
    half = scale.half()
    half = torch.where(half.float() < scale, torch.nextafter(half, torch.full_like(half, torch.inf)), half)
    half = half.clamp_min(torch.finfo(torch.float16).tiny).reshape(_scale_shape(tensor))
    if not torch.isfinite(half).all():
        raise StorageError("values are too large for int8 with a float16 scale: store it in float32")
    return (tensor / half.float()).round().clamp(-127, 127).to(torch.int8), half
