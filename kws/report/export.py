"""The same network for other runtimes: TorchScript (frozen) and ONNX, with or without the front end inside."""

import io
import warnings

import torch
from torch import Tensor, nn

from kws.data.audio import SAMPLE_RATE
from kws.features import HIGHEST_POWER, LOWEST_POWER, LogMel, front_end_of
from kws.streaming.onnx_export import OPSET


class MatrixLogMel(nn.Module):
    """``LogMel`` as a convolution with windowed cosines and sines, and a matrix product: what every runtime has.

    A discrete Fourier transform written out; equal to the FFT's up to rounding.
    """

    def __init__(self, front_end: LogMel):
        super().__init__()
        self.spectrum, points = front_end.spectrum, front_end.spectrum.window
        bins, time = torch.arange(points // 2 + 1).double(), torch.arange(points).double()
        angle = 2 * torch.pi * bins[:, None] * time / points
        window = front_end.mel.spectrogram.window.double()
        waves = torch.cat([angle.cos() * window, angle.sin() * window]).float()
        self.register_buffer("waves", waves.unsqueeze(1))  # (2 * 201, 1, 400)
        self.register_buffer("mel", self.spectrum.bands(front_end.n_mels).T.contiguous())  # (n_mels, 201)

    def forward(self, waveform: Tensor) -> Tensor:
        padded = nn.functional.pad(waveform, (self.spectrum.reach, 0))
        sound, hop = self.spectrum.sampled(padded).unsqueeze(1), self.spectrum.hop // self.spectrum.decimation
        real, imaginary = nn.functional.conv1d(sound, self.waves, stride=hop).chunk(2, 1)
        return (self.mel @ (real * real + imaginary * imaginary)).clamp(LOWEST_POWER, HIGHEST_POWER).log()


class WithFrontEnd(nn.Module):
    """Waveform (batch, samples) to logits (batch, classes)."""

    def __init__(self, front_end: nn.Module, model: nn.Module):
        super().__init__()
        self.front_end, self.model = front_end, model

    def forward(self, waveform: Tensor) -> Tensor:
        return self.model(self.front_end(waveform))


def example(model: nn.Module, front_end: bool, batch: int = 1) -> Tensor:
    """A second of input: waveform (batch, 16000) or log-mel (batch, n_mels, 101)."""
    if front_end:
        return torch.randn(batch, SAMPLE_RATE) * 0.1
    return torch.randn(batch, model.config.n_mels, front_end_of(model.config).spectrum.frames_in(SAMPLE_RATE)) * 4 - 7


def to_torchscript(model: nn.Module, front_end: bool, batch: int = 1) -> torch.jit.ScriptModule:
    """Traced and frozen for batches of this size."""
    whole = WithFrontEnd(front_end_of(model.config), model).eval() if front_end else model.eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; the shape checks become constants
        return torch.jit.freeze(torch.jit.trace(whole, example(model, front_end, batch)))


def to_onnx(model: nn.Module, front_end: bool, batch: int = 1) -> bytes:
    """An ONNX model for batches of this size: input ``sound``, output ``logits``."""
    whole = WithFrontEnd(MatrixLogMel(front_end_of(model.config)), model) if front_end else model
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the other exporter takes recurrent layers apart, step by step
        torch.onnx.export(
            whole.eval(),
            (example(model, front_end, batch),),
            buffer,
            input_names=["sound"],
            output_names=["logits"],
            opset_version=OPSET,
            dynamo=False,
        )
    return buffer.getvalue()
