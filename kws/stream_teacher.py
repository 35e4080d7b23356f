"""The teacher of streams: a residual network of convolutions over frequency and time, then over time, each step of which hears some 1.6 s.

It need not be small, only right. On the same scenes it learns in two passes what a recurrent teacher of a third of its size had not learnt
in six. Residual blocks: He et al. 2016 (arXiv:1512.03385), section 3; dilated causal convolutions over time: Bai et al. 2018 (arXiv:1803.01271), section 3.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kws.model import ConfigError

AHEAD = 16  # frames that a step hears after its middle, for which its output waits


@dataclass(frozen=True)
class StreamTeacherConfig:
    """channels: of the first convolution and of the two residual blocks. width: of the layers over time; dilations: in steps of 4 frames."""

    n_mels: int = 40
    mean: float = -7.0
    std: float = 5.0
    channels: tuple[int, int, int] = (16, 32, 48)
    width: int = 96
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 1, 4, 1)
    dropout: float = 0.1
    classes: int = 2

    def __post_init__(self) -> None:
        sizes = (*self.channels, self.width, self.kernel, *self.dilations, self.classes, self.n_mels)
        if min(sizes) < 1 or self.std <= 0 or not 0 <= self.dropout < 1:
            raise ConfigError(f"every size and std must be positive, dropout from 0 to 1: {self}")


class StreamTeacher(nn.Module):
    """``model.whole(log_mel)``: log-mel (batch, n_mels, frames) to logits (batch, steps, classes), a step every 4 frames from frame 16 on.

    A step has heard no frame after its own: its convolutions look 16 frames ahead, and so it speaks of what was 0.16 s ago.
    It is computed in bfloat16 where there is a batch: on processors that have it, in half of the time.
    """

    step_frames, kernel_frames = 4, AHEAD + 1

    def __init__(self, config: StreamTeacherConfig = StreamTeacherConfig()):
        super().__init__()
        self.config = config
        first, second, third = config.channels
        self.front = nn.Sequential(
            nn.Conv2d(1, first, 5, 2, 2, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            _Block(first, second, (2, 2)),
            _Block(second, third, (2, 1)),
        )
        bands = -(-config.n_mels // 8)
        self.join = nn.Sequential(
            nn.Conv1d(third * bands, config.width, 1, bias=False), nn.BatchNorm1d(config.width), nn.ReLU()
        )
        self.time = nn.Sequential(
            *(_CausalBlock(config.width, config.kernel, dilation, config.dropout) for dilation in config.dilations)
        )
        self.classifier = nn.Conv1d(config.width, config.classes, 1)

    def whole(self, log_mel: Tensor) -> Tensor:
        with torch.autocast(log_mel.device.type, torch.bfloat16):
            x = ((log_mel - self.config.mean) / self.config.std).unsqueeze(1)
            logits = self.classifier(self.time(self.join(self.front(x).flatten(1, 2))))
        steps = (log_mel.shape[2] - self.kernel_frames) // self.step_frames + 1
        return logits[:, :, : max(steps, 0)].transpose(1, 2).float()

    def forward(self, log_mel: Tensor) -> Tensor:
        """Logits (batch, classes) of the last step. Raises ``ValueError`` for a log-mel of another shape."""
        if log_mel.dim() != 3 or log_mel.shape[1] != self.config.n_mels or log_mel.shape[2] < self.kernel_frames:
            raise ValueError(
                f"the model takes a log-mel of shape (batch, {self.config.n_mels} bands, {self.kernel_frames} or more frames), got {tuple(log_mel.shape)}"
            )
        return self.whole(log_mel)[:, -1]

    @property
    def hears(self) -> int:
        """Frames before a step's own that it may depend on, at most."""
        return self.step_frames * (self.config.kernel - 1) * sum(self.config.dilations) + 2 * AHEAD


class _Block(nn.Module):
    """Two 3 x 3 convolutions and a way past them."""

    def __init__(self, before: int, after: int, stride: tuple[int, int]):
        super().__init__()
        self.convolution = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.convolution(x) + self.shortcut(x))


class _CausalBlock(nn.Module):
    """A convolution over the past, and a way past it."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float):
        super().__init__()
        self.before = (kernel - 1) * dilation
        self.convolution = nn.Conv1d(width, width, kernel, dilation=dilation, bias=False)
        self.norm, self.dropout = nn.BatchNorm1d(width), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.convolution(nn.functional.pad(x, (self.before, 0))))
        return x + self.dropout(torch.relu(y))


@torch.inference_mode()
def teacher_probabilities(model: StreamTeacher, log_mel: Tensor, piece: int = 4000) -> Tensor:
    """Keyword probability (steps,) of a log-mel (n_mels, frames) of any length, computed ``piece`` frames (a multiple of 4) at a time."""
    before = -(-model.hears // model.step_frames) * model.step_frames
    parts = []
    for start in range(0, log_mel.shape[1], piece):
        first = max(start - before, 0)
        logits = model.whole(log_mel[None, :, first : start + piece + AHEAD])
        skipped = (start - first) // model.step_frames
        parts.append(torch.softmax(logits, 2)[0, skipped:, 1])
    return torch.cat(parts)
