"""The network of a stream: samples in, in chunks of any length, the keyword probability of every new step out.

A *step* is one position of the convolution: 80 ms for the base. What was heard is in an explicit state, so that the
cutting into chunks cannot matter. The state holds samples that do not fill a frame yet, and frames that the next
position of the convolution needs. For the recurrent layers and the attention it holds one of two things:

- **carried** (``carried=True``): the recurrent layers run on and never start again; attention pools the last second of
  their outputs. Each step costs one step. One second after a reset this is exactly the offline model on that second.
  Later the recurrent layers remember more than a second, which a model must be trained for.
- **windows** (``carried=False``): at every step the recurrent layers start anew, one second ago. Every probability is
  exactly the offline model's on the last second of log-mel. Each step is computed once for each window it is in.

The past before a reset is silence: no frame of it differs from those of zeros. The first probability comes when the
convolution has heard its first whole kernel, as offline.
"""

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from kws.data.audio import SAMPLE_RATE
from kws.data.spectrum import low_pass
from kws.features import HIGHEST_POWER, LOWEST_POWER, front_end_of
from kws.model import CRNN, CRNNConfig

UNHEARD = -1e9  # the attention's energy of a step before the first: no weight


class StreamState(NamedTuple):
    """What a stream remembers, for a batch of streams that hear the same number of samples at a time.

    Attributes:
        samples: (batch, 240 to 399), the last ones: what a frame hears less a hop, and what does not fill a hop yet.
        frames: (batch, n_mels, any), normalized log-mel that the next step needs.
        recurrent: (layers, batch, hidden), of the layers that run on; zeros in windows.
        past: (batch, window - 1, width), of the last steps. Carried: outputs of the last recurrent layer, each with
            its energy of the attention behind it. Windows: outputs of the convolution.
        step: () int64, number of the next step. Steps before 0 overlap the silence before a reset and give nothing.
    """

    samples: Tensor
    frames: Tensor
    recurrent: Tensor
    past: Tensor
    step: Tensor


class StreamingCRNN(nn.Module):
    """``network(samples, state)`` gives probabilities and the next state. It compiles to TorchScript.

    It shares the model's layers and puts them into eval mode. Raises ``ValueError`` for a model that cannot stream.

    Attributes:
        step_samples: samples between two steps.
        first_sample: samples heard when the first probability is there.
        window: steps that attention pools (one second).
    """

    carried: Final[bool]
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
    decimation: Final[int]
    unheard: Final[int]
    lowest: Final[float]
    highest: Final[float]
    first_step: Final[int]

    def __init__(self, model: CRNN, carried: bool = True):
        super().__init__()
        if not isinstance(model, CRNN):
            raise ValueError(f"only a CRNN can stream, this is a {type(model).__name__}")
        config = model.config
        stride, kernel = _checked_step(config)
        # Sizes. TorchScript sees no globals.
        self.carried, self.n_mels = carried, config.n_mels
        self.pool_bands, self.pool_frames = config.pool
        spectrum = config.spectrum
        self.hop, self.decimation = spectrum.hop, spectrum.decimation
        # Where a hop is longer than a frame, samples between two frames are not heard.
        self.frame_samples = max(spectrum.reach, spectrum.hop)
        self.unheard = self.frame_samples - spectrum.reach
        self.lowest, self.highest = LOWEST_POWER, HIGHEST_POWER
        self.step_frames, self.kernel_frames = stride * self.pool_frames, kernel * self.pool_frames
        self.window = (spectrum.frames_in(SAMPLE_RATE) - self.kernel_frames) // self.step_frames + 1
        self.step_samples = self.step_frames * self.hop
        self.first_sample = (self.kernel_frames - 1) * self.hop
        self.mean, self.std = config.mean, config.std
        # Layers, with the front end inside.
        self.register_buffer("hann", front_end_of(config).mel.spectrogram.window.clone())  # (400,)
        self.register_buffer("mel_bands", spectrum.bands(config.n_mels))  # (201, n_mels)
        self.register_buffer("low_pass", low_pass() if spectrum.decimation > 1 else None)
        self.convolution, self.recurrent, self.classifier = model.convolution, model.recurrent, model.classifier
        self.energy = model.attention.energy
        self.eval()  # the silence below is that of the trained model
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
                past = self.positions(self.silence[:, :, :1].expand(-1, -1, self.kernel_frames))  # (1, 1, width)
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
        """Samples (batch, any) float32 at 16 kHz to probabilities (batch, new steps) and the next state."""
        # Samples to frames; what does not fill a frame waits.
        samples = torch.cat([state.samples, samples], 1)
        new_frames = (samples.shape[1] - (self.frame_samples - self.hop)) // self.hop
        frames = state.frames
        if new_frames > 0:
            heard = samples[:, : (new_frames - 1) * self.hop + self.frame_samples]
            frames = torch.cat([frames, (self.log_mel(heard) - self.mean) / self.std], 2)  # (batch, n_mels, any)
            samples = samples[:, new_frames * self.hop :]
        # Frames to steps; what the next step needs waits.
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
        """The stream at once: log-mels (batch, n_mels, frames), some seconds after silence, to logits (batch, steps, classes)."""
        before = self.silence[:, :, 1:].expand(log_mel.shape[0], -1, -1)
        x = self.positions(torch.cat([before, (log_mel - self.mean) / self.std], 2))
        if not self.carried:
            state = self.start(log_mel.shape[0])
            return self.steps(x, state.recurrent, state.past, self.first_step)[0]
        x = x[:, -self.first_step :]
        for layer in self.recurrent:
            x, _ = layer(x)  # (batch, steps, hidden)
        # Each step's weights of all steps, of which those within its second are not 0: faster than a copy of every window.
        within = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril().triu(1 - self.window)
        energy = self.energy(x).transpose(1, 2).masked_fill(~within, UNHEARD)  # (batch, steps, steps)
        return self.classifier(torch.softmax(energy, 2) @ x)

    def log_mel(self, samples: Tensor) -> Tensor:
        """Samples (batch, samples) to the frames that fit in (batch, n_mels, frames): ``LogMel`` without padding."""
        frames = samples.unfold(1, self.frame_samples, self.hop)[:, :, self.unheard :]  # (batch, frames, 400)
        if self.low_pass is not None:
            decimated = nn.functional.conv1d(frames.flatten(0, 1).unsqueeze(1), self.low_pass, stride=self.decimation)
            frames = decimated.squeeze(1).unflatten(0, frames.shape[:2])
        spectrum = torch.fft.rfft(frames * self.hann)  # (batch, frames, 201)
        power = spectrum.real.square() + spectrum.imag.square()
        return (power @ self.mel_bands).clamp(self.lowest, self.highest).log().transpose(1, 2)

    def positions(self, frames: Tensor) -> Tensor:
        """The convolution at every position: frames (batch, n_mels, frames) to (batch, positions, channels * bands)."""
        x = frames.unsqueeze(1)  # (batch, 1, n_mels, frames)
        if self.pool_bands > 1 or self.pool_frames > 1:
            x = nn.functional.avg_pool2d(x, [self.pool_bands, self.pool_frames])
        x = self.convolution(x)  # (batch, channels, bands, positions)
        return x.flatten(1, 2).transpose(1, 2)

    def steps(self, x: Tensor, recurrent: Tensor, past: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (batch, steps, classes) of new positions x (batch, positions, width), and the next recurrent and past.

        ``step`` is the number of the first position. Steps before 0 give no logits.
        """
        skipped = min(max(-step, 0), x.shape[1])
        none = x.new_zeros([x.shape[0], 0, 2])
        if self.carried:
            x = x[:, skipped:]
            if x.shape[1] == 0:
                return none, recurrent, past
            # The recurrent layers run on.
            states: list[Tensor] = []
            for i, layer in enumerate(self.recurrent):
                x, after = layer(x, recurrent[i : i + 1])  # (batch, steps, hidden)
                states.append(after)
            recurrent = torch.cat(states)
            # Attention over the last second, the energies of the past being known.
            x = torch.cat([past, self.with_energy(x)], 1)  # (batch, window - 1 + steps, hidden + 1)
            past = x[:, x.shape[1] - (self.window - 1) :]
            outputs = x[:, :, :-1].unfold(1, self.window, 1).transpose(2, 3)  # (batch, steps, window, hidden)
            energy = x[:, :, -1].unfold(1, self.window, 1)  # (batch, steps, window)
            contexts = self.pooled(outputs, energy)
        else:
            # Every window anew.
            x = torch.cat([past, x], 1)  # (batch, window - 1 + positions, width)
            past = x[:, x.shape[1] - (self.window - 1) :]
            windows = x.unfold(1, self.window, 1).transpose(2, 3)[:, skipped:]  # (batch, steps, window, width)
            if windows.shape[1] == 0:
                return none, recurrent, past
            y = windows.flatten(0, 1)  # (batch * steps, window, width)
            for layer in self.recurrent:
                y, _ = layer(y)
            y = y.unflatten(0, windows.shape[:2])  # (batch, steps, window, hidden)
            contexts = self.pooled(y, self.energy(y).squeeze(3))
        return self.classifier(contexts), recurrent, past

    def with_energy(self, outputs: Tensor) -> Tensor:
        """Outputs (..., hidden) of the last recurrent layer, each with its energy of the attention behind it."""
        return torch.cat([outputs, self.energy(outputs)], -1)

    def pooled(self, outputs: Tensor, energy: Tensor) -> Tensor:
        """Attention: (batch, steps, window, hidden) with energies (batch, steps, window) to (batch, steps, hidden)."""
        return (torch.softmax(energy, 2).unsqueeze(3) * outputs).sum(2)


def _checked_step(config: CRNNConfig) -> tuple[int, int]:
    """Stride and kernel in (pooled) frames. Raises ``ValueError`` for a kernel too long or too short to stream."""
    stride, kernel = config.step_frames // config.pool[1], config.least_frames // config.pool[1]
    frames = f"a kernel of {kernel} frames (pooled by {config.pool[1]})"
    if config.least_frames > config.spectrum.frames_in(SAMPLE_RATE):
        raise ValueError(f"{frames} is longer than a second: this model cannot stream")
    if kernel < stride:
        raise ValueError(f"{frames} skips some at a stride of {stride}: this model cannot stream")
    return stride, kernel
