"""The streaming model: raw samples in, in chunks of any length, the keyword probability of every new step out.

A *step* is one position of the convolution: 80 ms for the base. What was heard is in an explicit state, so that the cutting into
chunks cannot matter: samples that do not fill a frame yet, frames that the next position of the convolution needs, and,
for the recurrent layers and the attention, one of two things:

- **carried** (``carried=True``): the recurrent layers run on and never start again; attention pools the last second of their
  outputs. Each step costs one step. At the end of the first second after a reset this is exactly the offline model on that second;
  later the recurrent layers remember more than a second, which a model must be trained for (``kws.research.stream_training``).
- **windows** (``carried=False``): at every step the recurrent layers start anew, one second ago. Every probability is exactly
  the offline model's on the last second (of log-mel frames), at the price of computing each step once for each window it is in.

The past before a reset is silence: no frame of it differs from those of zeros. The first probability comes when the
convolution has heard its first whole kernel, as offline.
"""

import copy
import io
import math
import warnings
import zipfile
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from kws.checkpoint import load_model, load_provenance
from kws.data.audio import SAMPLE_RATE
from kws.data.storage import CheckpointError, is_torchscript, save_whole
from kws.features import HIGHEST_POWER, HOP, LOWEST_POWER, WINDOW, LogMel, frames_in
from kws.model import CRNN

PIECE = 10 * SAMPLE_RATE  # a long chunk is heard in pieces of so many samples: memory stays flat
LOUDEST = 1e6  # samples beyond are bounded: their power would not be a number
UNHEARD = -1e9  # the attention's energy of a step before the first: no weight


class StreamState(NamedTuple):
    """What a stream remembers, for a batch of streams that hear the same number of samples at a time.

    Attributes:
        samples: (batch, 240 to 399), the last ones: a frame's worth less a hop, and what does not fill a hop yet.
        frames: (batch, n_mels, any), normalized log-mel that the next step needs.
        recurrent: (layers, batch, hidden), of the layers that run on; zeros in windows.
        past: (batch, window - 1, width), of the last steps: outputs of the last recurrent layer, each with its energy of the attention
            behind it, or in windows outputs of the convolution.
        step: () int64, number of the next step. Steps before 0 overlap the silence before a reset and are not put out.
    """

    samples: Tensor
    frames: Tensor
    recurrent: Tensor
    past: Tensor
    step: Tensor


class StreamingCRNN(nn.Module):
    """The functional form: ``network(samples, state)`` gives probabilities and the next state. It compiles to TorchScript.

    It shares the model's layers and puts them into eval mode.

    Attributes:
        step_samples: samples between two steps. window: steps that attention pools (one second).
        first_sample: samples heard when the first probability is there.
    """

    carried: Final[bool]
    last_only: Final[bool]
    n_mels: Final[int]
    pool_bands: Final[int]
    pool_frames: Final[int]
    step_frames: Final[int]
    kernel_frames: Final[int]
    window: Final[int]
    step_samples: Final[int]
    first_sample: Final[int]
    frame_samples: Final[int]
    hop: Final[int]
    lowest: Final[float]
    highest: Final[float]
    first_step: Final[int]

    def __init__(self, model: CRNN, carried: bool = True):
        super().__init__()
        if not isinstance(model, CRNN):
            raise ValueError(f"only a CRNN can stream, this is a {type(model).__name__}")
        config = model.config
        self.pool_bands, self.pool_frames = config.pool
        stride, kernel = config.step_frames // config.pool[1], config.least_frames // config.pool[1]
        if config.least_frames > frames_in(SAMPLE_RATE):
            raise ValueError(
                f"a kernel of {kernel} frames (pooled by {config.pool[1]}) is longer than a second: this model cannot stream"
            )
        if kernel < stride:
            raise ValueError(
                f"a kernel of {kernel} frames skips some at a stride of {stride}: this model cannot stream"
            )
        self.carried, self.n_mels = carried, config.n_mels
        self.frame_samples, self.hop = WINDOW, HOP  # TorchScript sees no globals
        self.lowest, self.highest = LOWEST_POWER, HIGHEST_POWER
        self.step_frames, self.kernel_frames = stride * self.pool_frames, kernel * self.pool_frames
        self.window = (frames_in(SAMPLE_RATE) - self.kernel_frames) // self.step_frames + 1
        self.step_samples = self.step_frames * HOP
        self.first_sample = (self.kernel_frames - 1) * HOP
        self.mean, self.std = config.mean, config.std
        mel = LogMel(config.n_mels).mel
        self.register_buffer("hann", mel.spectrogram.window.clone())
        self.register_buffer("mel_bands", mel.mel_scale.fb.clone())
        self.convolution, self.recurrent, self.classifier = model.convolution, model.recurrent, model.classifier
        self.eval()  # the silence below is that of the trained model
        self.energy = model.attention.energy if hasattr(model.attention, "energy") else _NoEnergy()
        self.last_only = config.attention == "last"
        # The frames before the first sample: as many as make the steps fall where the offline model's do.
        silent = ((kernel - 1) // stride) * self.step_frames
        self.first_step = -(silent // self.step_frames)
        silence = (math.log(LOWEST_POWER) - self.mean) / self.std
        self.register_buffer("silence", torch.full((1, self.n_mels, silent + 1), silence))
        if carried:
            past = torch.zeros(1, self.window - 1, config.hidden + 1)
            past[:, :, -1] = UNHEARD
        else:
            with torch.no_grad():
                past = self.positions(self.silence[:, :, :1].expand(-1, -1, self.kernel_frames))
        self.register_buffer("silent_past", past.expand(-1, self.window - 1, -1).contiguous())
        self.register_buffer("silent_recurrent", torch.zeros(config.layers, 1, config.hidden))

    @torch.jit.export
    def start(self, batch: int = 1) -> StreamState:
        """The state of streams that have heard nothing: silence."""
        return StreamState(
            torch.zeros([batch, self.frame_samples - self.hop], device=self.hann.device),
            self.silence.expand(batch, -1, -1),
            self.silent_recurrent.expand(-1, batch, -1).contiguous(),
            self.silent_past.expand(batch, -1, -1),
            torch.tensor(self.first_step),
        )

    def forward(self, samples: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """samples (batch, any) float32 in [-1, 1] at 16 kHz to keyword probabilities (batch, new steps) and the next state."""
        samples = torch.cat([state.samples, samples], 1)
        new_frames = (samples.shape[1] - (self.frame_samples - self.hop)) // self.hop
        frames = state.frames
        if new_frames > 0:
            heard = samples[:, : (new_frames - 1) * self.hop + self.frame_samples]
            frames = torch.cat([frames, (self.log_mel(heard) - self.mean) / self.std], 2)
            samples = samples[:, new_frames * self.hop :]
        new_steps = (frames.shape[2] - self.kernel_frames) // self.step_frames + 1
        if new_steps <= 0:
            return samples.new_zeros([samples.shape[0], 0]), StreamState(
                samples, frames, state.recurrent, state.past, state.step
            )
        x = self.positions(frames[:, :, : (new_steps - 1) * self.step_frames + self.kernel_frames])
        frames = frames[:, :, new_steps * self.step_frames :]
        logits, recurrent, past = self.steps(x, state.recurrent, state.past, int(state.step))
        kept = StreamState(samples, frames, recurrent, past, state.step + new_steps)
        return torch.softmax(logits, 2)[:, :, 1], kept

    def whole(self, log_mel: Tensor) -> Tensor:
        """Logits (batch, steps, classes) of all steps of log-mels (batch, n_mels, frames) that start after silence: the stream at once."""
        state = self.start(log_mel.shape[0])
        before = self.silence[:, :, 1:].expand(log_mel.shape[0], -1, -1)
        x = self.positions(torch.cat([before, (log_mel - self.mean) / self.std], 2))
        return self.steps(x, state.recurrent, state.past, self.first_step)[0]

    def log_mel(self, samples: Tensor) -> Tensor:
        """The frames (batch, n_mels, frames) that fit into samples (batch, samples): ``kws.features.LogMel`` without its padding."""
        spectrum = torch.fft.rfft(samples.unfold(1, self.frame_samples, self.hop) * self.hann)
        power = spectrum.real.square() + spectrum.imag.square()
        return (power @ self.mel_bands).clamp(self.lowest, self.highest).log().transpose(1, 2)

    def positions(self, frames: Tensor) -> Tensor:
        """The convolution at every position: normalized frames (batch, n_mels, frames) to (batch, positions, channels * bands)."""
        x = frames.unsqueeze(1)
        if self.pool_bands > 1 or self.pool_frames > 1:
            x = nn.functional.avg_pool2d(x, [self.pool_bands, self.pool_frames])
        return self.convolution(x).flatten(1, 2).transpose(1, 2)

    def steps(self, x: Tensor, recurrent: Tensor, past: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (batch, steps, classes) of new positions x (batch, positions, width), the recurrent state and the past after them.

        Steps before 0 give none. ``step`` is the number of the first position.
        """
        skipped = min(max(-step, 0), x.shape[1])
        none = x.new_zeros([x.shape[0], 0, 2])
        if self.carried:
            x = x[:, skipped:]
            if x.shape[1] == 0:
                return none, recurrent, past
            states: list[Tensor] = []
            for i, layer in enumerate(self.recurrent):
                x, after = layer(x, recurrent[i : i + 1])
                states.append(after)
            recurrent = torch.cat(states)
            x = torch.cat([past, self.with_energy(x)], 1)
            past = x[:, x.shape[1] - (self.window - 1) :]
            outputs, energy = (
                x[:, :, :-1].unfold(1, self.window, 1).transpose(2, 3),
                x[:, :, -1].unfold(1, self.window, 1),
            )
            contexts = self.pooled(outputs, energy)
        else:
            x = torch.cat([past, x], 1)
            past = x[:, x.shape[1] - (self.window - 1) :]
            windows = x.unfold(1, self.window, 1).transpose(2, 3)[:, skipped:]  # (batch, steps, window, width)
            if windows.shape[1] == 0:
                return none, recurrent, past
            y = windows.flatten(0, 1)
            for layer in self.recurrent:
                y, _ = layer(y)
            y = y.unflatten(0, windows.shape[:2])
            contexts = self.pooled(y, self.energy(y).squeeze(3))
        return self.classifier(contexts), recurrent, past

    def with_energy(self, outputs: Tensor) -> Tensor:
        """Outputs (..., hidden) of the last recurrent layer with the attention's energy of each as one more feature."""
        return torch.cat([outputs, self.energy(outputs)], -1)

    def pooled(self, outputs: Tensor, energy: Tensor) -> Tensor:
        """Attention over windows (batch, steps, window, hidden) of energies (batch, steps, window), to (batch, steps, hidden)."""
        if self.last_only:
            return outputs[:, :, -1]
        return (torch.softmax(energy, 2).unsqueeze(3) * outputs).sum(2)


class ProductConvolution(nn.Module):
    """A convolution (with bias; no padding, dilation or groups) that in TorchScript is one matrix product: for the few positions in a chunk, PyTorch's convolution on a
    CPU takes several times as long, nearly all of it to prepare."""

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
        heard = nn.functional.unfold(x, self.kernel, stride=self.stride)
        y = torch.baddbmm(self.bias.unsqueeze(1), self.weight.flatten(1).expand(x.shape[0], -1, -1), heard)
        return y.unflatten(2, [(x.shape[2] - self.kernel[0]) // self.stride[0] + 1, -1])


class _NoEnergy(nn.Module):
    """All steps count alike."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x[..., :1])


def checked(chunk: Tensor, loudest: float) -> Tensor:
    """A chunk (samples,), int16 or floating point, as float32 within ``loudest``. Raises ``ValueError`` for any other, and for NaN and infinity."""
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


class StreamingModel(nn.Module):
    """What ``streaming_<name>.pt`` holds: ``model(chunk)`` and ``model.reset()``. It runs with torch alone.

    Attributes:
        keyword: what it hears. threshold: of the probability, a good working point (see ``kws.streaming.detection``).
        smoothing: number of steps whose mean probability is compared with it.
        sample_rate: 16000. step_samples: between two probabilities. first_sample: heard when the first one is there.
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

        chunk: (samples,), any number of them, at 16 kHz: floating point in [-1, 1], or int16, which is divided by 32768.
        A chunk of another shape or dtype, or with NaN or infinite samples, is refused (an error) and the stream goes on as if it
        had not been there. Samples beyond [-1, 1] are heard as they are, up to a million, where their power still is a number.
        """
        chunk = checked(chunk, self.loudest).unsqueeze(0)
        if chunk.shape[1] <= self.piece:
            probabilities, self.state = self.network(chunk, self.state)
            return probabilities[0]
        parts: list[Tensor] = []
        for start in range(0, chunk.shape[1], self.piece):
            probabilities, self.state = self.network(chunk[:, start : start + self.piece], self.state)
            parts.append(probabilities[0])
        return torch.cat(parts)


def streaming_model(
    path: str | Path, carried: bool = True, threshold: float = 0.5, smoothing: int = 1
) -> StreamingModel:
    """The streaming model of a checkpoint, float32, float16 or int8. Raises ``CheckpointError`` for a network that cannot stream."""
    try:
        network = StreamingCRNN(load_model(path), carried)
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return StreamingModel(network, load_provenance(path).keyword, threshold, smoothing)


def save_stream(model: nn.Module, path: str | Path) -> None:
    """Write a streaming model as TorchScript, whole or not at all. TorchScript is deprecated (torch 2.11 warns), but works; see also ``kws.streaming.onnx_stream``."""
    fresh = copy.deepcopy(model)
    fresh.reset()
    buffer = io.BytesIO()  # by way of memory, as ``save_model``: the same model is the same bytes
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

    Raises ``FileNotFoundError``, or ``CheckpointError`` for a file that is neither. A TorchScript file is a program: load only
    those that you trust.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    if path.suffix == ".onnx":
        raise CheckpointError(f"{path}: an ONNX stream; open it with kws.onnx_stream.OnnxStream, or give the .pt file")
    if not is_torchscript(path):
        return streaming_model(path, carried=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            model = torch.jit.load(str(path), map_location="cpu")
        except RuntimeError as error:
            raise CheckpointError(f"{path}: damaged, get or write it again ({str(error).splitlines()[0]})") from error
    if not all(
        hasattr(model, name) for name in ("reset", "threshold", "smoothing", "step_samples", "first_sample", "keyword")
    ):
        raise CheckpointError(f"{path}: a TorchScript model, but not a streaming one of this package")
    return model
