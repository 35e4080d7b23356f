"""What a model costs: multiply-accumulates, bytes, and the published score made of both."""

import copy
import warnings
from pathlib import Path

import thop
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from kws.checkpoint import stored_tensors
from kws.data.audio import SAMPLE_RATE
from kws.data.torch_files import is_small, saved
from kws.features import front_end_of


def count_macs(model: nn.Module, seconds: float = 1.0) -> int:
    """Multiply-accumulates for so much audio by thop, the published way; the front end is not counted.

    It works on a copy, for thop leaves buffers behind in the model. It does not see the attention's product, softmax and
    other element-wise work, nor cells written out by hand: ``count_macs_exactly`` is its check.
    """
    # On a copy, in eval mode: thop writes counters into the modules.
    log_mel = _log_mel(model, seconds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        macs, _ = thop.profile(copy.deepcopy(model).cpu().eval(), (log_mel,), verbose=False)
    return int(macs)


def count_macs_exactly(model: nn.Module, seconds: float = 1.0) -> int:
    """Multiply-accumulates of every convolution and matrix product that runs, as PyTorch's own counter sees them."""
    log_mel = _log_mel(model, seconds)
    # PyTorch counts a multiplication and an addition as two operations.
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        copy.deepcopy(model).cpu().eval()(log_mel)
    return counter.get_total_flops() // 2


def count_parameters(model: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in model.parameters())


def size_in_bytes(path: str | Path) -> int:
    """Bytes of ``torch.save(state_dict)`` at the dtypes and in the format of this checkpoint; config and provenance do not count."""
    return len(saved(stored_tensors(path), small=is_small(path)))


def score(compression_rate: float, speedup_rate: float) -> float:
    """The published score, of 7: 3.5 min(CR, 10) / 10 + 3.5 min(SR, 10) / 10, both rates against the base model."""
    if not (compression_rate > 0 and speedup_rate > 0):
        raise ValueError(f"rates must be positive numbers, got {compression_rate} and {speedup_rate}")
    return 0.35 * min(compression_rate, 10) + 0.35 * min(speedup_rate, 10)


def _log_mel(model: nn.Module, seconds: float) -> torch.Tensor:
    if not seconds > 0:
        raise ValueError(f"seconds must be positive, got {seconds}")
    front_end = front_end_of(model.config)
    return torch.zeros(1, front_end.n_mels, front_end.spectrum.frames_in(round(seconds * SAMPLE_RATE)))
