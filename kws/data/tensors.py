"""How the tensors of a model are stored: float32, float16 or int8, one each or packed.

int8 keeps one scale for each output channel of a matrix or kernel, and one for each vector; the value is ``int8 * scale``, so every
machine reads the same float32 numbers. Packed storage puts all values into one tensor, in the order of the model's own state dict, and
behind them the bytes of all scales. A zip file of ``torch.save`` spends some 300 bytes on every tensor. The model tells names and shapes, so a packed file needs no table of them.
"""

import torch
from torch import Tensor

STORED = {"float32": torch.float32, "float16": torch.float16, "int8": torch.int8}
SCALE_SUFFIX = ".scale"


class StorageError(ValueError):
    """Stored tensors that do not fit the model they are said to hold, or values that a storage cannot hold."""


def store(state: dict[str, Tensor], storage: str = "float32", packed: bool = False) -> dict[str, Tensor]:
    """What a checkpoint holds of a float32 state dict: float32, float16 or int8 tensors, one each or packed.

    Raises ``StorageError`` for an unknown storage, for values beyond float16, for NaN, and for packing integers.
    """
    if storage not in STORED:
        raise StorageError(f"storage is {storage!r}; it must be one of {', '.join(STORED)}")
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    stored, scales = {}, {}
    for name, tensor in state.items():
        # What cannot be stored so is refused.
        if not torch.isfinite(tensor).all():
            raise StorageError(f"{name} holds NaN or infinite values")
        if storage == "float16" and tensor.is_floating_point() and tensor.abs().max() > torch.finfo(torch.float16).max:
            raise StorageError(f"{name} holds values beyond the range of float16: store it in float32")
        if packed and not tensor.is_floating_point():
            raise StorageError(f"{name} is not a float tensor and cannot be packed: fold the batch norm first")
        # Integers, such as a count of batches, stay as they are.
        if not tensor.is_floating_point():
            stored[name] = tensor
        elif storage == "int8":
            stored[name], scales[name] = _to_int8(tensor)
        else:
            stored[name] = tensor.to(STORED[storage])
    if packed:
        return _pack(stored, scales)
    return stored | {name + SCALE_SUFFIX: scale for name, scale in scales.items()}


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


def _scale_shape(tensor: Tensor) -> torch.Size:
    """Of int8's scales: one for each row of a matrix or kernel of a kernel; one for all of a vector."""
    return torch.Size([tensor.shape[0] if tensor.dim() > 1 else 1] + [1] * (tensor.dim() - 1))


def _pack(values: dict[str, Tensor], scales: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of one dtype as {"values": ...}, behind them the bytes of the scales of those that have one."""
    flat = [tensor.flatten() for tensor in values.values()]
    return {"values": torch.cat(flat + [scale.flatten().view(torch.int8) for scale in scales.values()])}


def _unpack(stored: dict[str, Tensor], template: dict[str, Tensor]) -> dict[str, Tensor]:
    """What was packed, by name, scales under ``<name>.scale``. Raises ``StorageError`` where it does not fit the ``template``."""
    shapes = {name: tensor.shape for name, tensor in template.items()}
    scales = {name + SCALE_SUFFIX: _scale_shape(tensor) for name, tensor in template.items()}
    values = stored["values"]
    if values.dtype != torch.int8:
        return _cut("values", values, shapes)
    if "scales" in stored:  # as files were written before
        return _cut("values", values, shapes) | _cut("scales", stored["scales"], scales)
    count = sum(shape.numel() for shape in shapes.values())
    if values.dim() != 1 or len(values) < count or (len(values) - count) % 2:
        raise StorageError(
            f"it has {values.numel():,} bytes, the model of its config has {count:,} and pairs of its scales"
        )
    return _cut("values", values[:count], shapes) | _cut("scales", values[count:].clone().view(torch.float16), scales)


def _cut(what: str, tensor: Tensor, shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
    sizes = [shape.numel() for shape in shapes.values()]
    if tensor.dim() != 1 or len(tensor) != sum(sizes):
        raise StorageError(f"it has {tensor.numel():,} {what}, the model of its config has {sum(sizes):,}")
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), tensor.split(sizes), strict=True)}
