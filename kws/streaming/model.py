"""The streaming model of one stream, which keeps its own state, and the files it is saved as."""

import copy
import io
import warnings
import zipfile
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from kws.checkpoint import load_model, load_provenance
from kws.data.audio import SAMPLE_RATE
from kws.data.storage import save_whole
from kws.data.torch_files import CheckpointError, is_torchscript
from kws.streaming.network import StreamingCRNN, StreamState

PIECE = 10 * SAMPLE_RATE  # a long chunk is heard in pieces of so many samples: memory stays flat
LOUDEST = 1e6  # samples beyond are bounded: their power would not be a number
OF_A_STREAM = ("reset", "threshold", "smoothing", "step_samples", "first_sample", "keyword")


class StreamingModel(nn.Module):
    """What ``streaming_<name>.pt`` holds: ``model(chunk)`` and ``model.reset()``. It runs with torch alone.

    Attributes:
        keyword: what it hears.
        threshold: of the smoothed probability, a good working point.
        smoothing: steps whose mean probability is compared with the threshold.
        sample_rate: 16000.
        step_samples: samples between two probabilities.
        first_sample: samples heard when the first probability is there.
    """

    keyword: Final[str]
    threshold: Final[float]
    smoothing: Final[int]
    sample_rate: Final[int]
    step_samples: Final[int]
    first_sample: Final[int]
    piece: Final[int]
    loudest: Final[float]
    state: StreamState

    def __init__(self, network: StreamingCRNN, keyword: str = "", threshold: float = 0.5, smoothing: int = 1):
        super().__init__()
        self.network = copy.deepcopy(network)
        for place, layer in enumerate(self.network.convolution):
            if isinstance(layer, nn.Conv2d):
                self.network.convolution[place] = ProductConvolution(layer)
        self.keyword, self.threshold, self.smoothing = keyword, threshold, smoothing
        self.sample_rate, self.piece, self.loudest = SAMPLE_RATE, PIECE, LOUDEST
        self.step_samples, self.first_sample = network.step_samples, network.first_sample
        self.state = network.start(1)
        for parameter in self.parameters():
            parameter.requires_grad_(False)

    @torch.jit.export
    def reset(self) -> None:
        """Forget what was heard."""
        self.state = self.network.start(1)

    def forward(self, chunk: Tensor) -> Tensor:
        """Keyword probability (steps,) of each new step, possibly none, for more samples of one stream.

        chunk: (samples,), any number, at 16 kHz: floating point in [-1, 1], or int16, which is divided by 32768.

        Raises an error for a chunk of another shape or dtype, or with NaN or infinite samples. The stream then goes on
        as if it had not been there. Samples beyond [-1, 1] are heard as they are, up to a million.
        """
        chunk = checked(chunk, self.loudest).unsqueeze(0)  # (1, samples)
        if chunk.shape[1] <= self.piece:
            probabilities, self.state = self.network(chunk, self.state)
            return probabilities[0]
        parts: list[Tensor] = []
        for start in range(0, chunk.shape[1], self.piece):
            probabilities, self.state = self.network(chunk[:, start : start + self.piece], self.state)
            parts.append(probabilities[0])
        return torch.cat(parts)


class ProductConvolution(nn.Module):
    """A convolution (with bias; no padding, dilation or groups) that in TorchScript is one matrix product.

    For the few positions in a chunk, PyTorch's convolution on a CPU takes several times as long, nearly all of it to
    prepare.
    """

    kernel: Final[tuple[int, int]]
    stride: Final[tuple[int, int]]

    def __init__(self, convolution: nn.Conv2d):
        super().__init__()
        self.kernel, self.stride = convolution.kernel_size, convolution.stride
        self.weight, self.bias = convolution.weight, convolution.bias

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, bands, frames) to what the convolution gives."""
        if not torch.jit.is_scripting():
            return nn.functional.conv2d(x, self.weight, self.bias, self.stride)
        heard = nn.functional.unfold(x, self.kernel, stride=self.stride)  # (batch, inputs, positions)
        y = torch.baddbmm(self.bias.unsqueeze(1), self.weight.flatten(1).expand(x.shape[0], -1, -1), heard)
        return y.unflatten(2, [(x.shape[2] - self.kernel[0]) // self.stride[0] + 1, -1])


def checked(chunk: Tensor, loudest: float) -> Tensor:
    """A chunk (samples,), int16 or floating point, as float32 within ``loudest``.

    Raises ``ValueError`` for any other, and for NaN and infinity.
    """
    if chunk.dim() != 1:
        raise ValueError(f"a chunk has shape (samples,), this one has {chunk.dim()} dimensions")
    if chunk.dtype == torch.int16:
        chunk = chunk.float() / 32768.0
    elif not chunk.is_floating_point():
        raise ValueError("a chunk holds int16 or floating point samples; convert others")
    chunk = chunk.detach().float()
    if chunk.shape[0] > 0:
        lowest, highest = torch.aminmax(chunk)  # NaN if one sample is
        if not (float(lowest) > -torch.inf and float(highest) < torch.inf):
            raise ValueError("the chunk holds NaN or infinite samples; the stream goes on without it")
    return chunk.clamp(-loudest, loudest)


def streaming_model(
    path: str | Path, carried: bool = True, threshold: float = 0.5, smoothing: int = 1
) -> StreamingModel:
    """The streaming model of a checkpoint, whatever its storage dtype.

    Raises ``CheckpointError`` for a file that is no checkpoint or a network that cannot stream.
    """
    try:
        network = StreamingCRNN(load_model(path), carried)
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return StreamingModel(network, load_provenance(path).keyword, threshold, smoothing)


def save_stream(model: nn.Module, path: str | Path) -> None:
    """Write a streaming model as TorchScript, whole or not at all; the same model is the same bytes.

    TorchScript is deprecated (torch 2.11 warns), but works; the other form is ``kws.streaming.onnx_export``.
    """
    fresh = copy.deepcopy(model)
    fresh.reset()
    buffer = io.BytesIO()  # by way of memory: a file's name would be in its bytes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(fresh), buffer)
    save_whole(_without_debug_files(buffer), path)


def _without_debug_files(archive: io.BytesIO) -> bytes:
    """A TorchScript file without the notes that tell where on the writer's machine each line of source was."""
    kept = io.BytesIO()
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(kept, "w") as new:
        for name in old.namelist():
            if not name.endswith(".debug_pkl"):
                new.writestr(zipfile.ZipInfo(name), old.read(name))
    return kept.getvalue()


def load_stream(path: str | Path) -> StreamingModel | torch.jit.ScriptModule:
    """A saved streaming model, or that of a checkpoint, asked about every last second (not carried).

    Raises ``FileNotFoundError``, or ``CheckpointError`` for a file that is neither. A TorchScript file is a program:
    load only those that you trust.
    """
    path = Path(path)
    if path.suffix == ".onnx" and path.is_file():
        raise CheckpointError(
            f"{path}: an ONNX stream; open it with kws.streaming.onnx_stream.OnnxStream, or give the .pt file"
        )
    if not is_torchscript(path):
        return streaming_model(path, carried=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            model = torch.jit.load(str(path), map_location="cpu")
        except RuntimeError as error:
            raise CheckpointError(f"{path}: damaged, get or write it again ({str(error).splitlines()[0]})") from error
    if not all(hasattr(model, name) for name in OF_A_STREAM):
        raise CheckpointError(f"{path}: a TorchScript model, but not a streaming one of this package")
    return model
