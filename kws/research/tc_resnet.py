"""TC-ResNet8, a reference from outside: a residual network of one-dimensional convolutions over time.

Source: Choi et al. 2019, "Temporal Convolution for Real-time Keyword Spotting on Mobile Devices" (arXiv:1904.03814), section 3 and
figure 2, with this repository's log-mel in place of MFCC. Written from the paper's description.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kws.model import ConfigError, register

KERNEL = 9


@dataclass(frozen=True)
class TCResNetConfig:
    """channels: of the first convolution, then of each residual block, which halves the time. The defaults are TC-ResNet8."""

    n_mels: int = 40
    mean: float = -7.0
    std: float = 5.0
    channels: tuple[int, ...] = (16, 24, 32, 48)
    classes: int = 2

    def __post_init__(self) -> None:
        if min(self.n_mels, self.classes, *self.channels) < 1 or self.std <= 0 or len(self.channels) < 2:
            raise ConfigError(f"every size and std must be positive, and one residual block be there: {self}")

    @property
    def least_frames(self) -> int:
        return 1


class TCResNet(nn.Module):
    """``model(log_mel)``: log-mel (batch, n_mels, frames) to logits (batch, classes)."""

    def __init__(self, config: TCResNetConfig = TCResNetConfig()):
        super().__init__()
        self.config = config
        first, *rest = config.channels
        self.convolution = nn.Conv1d(config.n_mels, first, 3, padding=1, bias=False)
        blocks = [_Block(before, after) for before, after in zip(config.channels, rest, strict=False)]
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(rest[-1], config.classes)

    def forward(self, log_mel: Tensor) -> Tensor:
        if log_mel.dim() != 3 or log_mel.shape[1] != self.config.n_mels:
            raise ValueError(
                f"the model takes a log-mel of shape (batch, {self.config.n_mels} bands, frames), got {tuple(log_mel.shape)}"
            )
        x = self.convolution((log_mel - self.config.mean) / self.config.std)
        return self.classifier(self.blocks(x).mean(2))


class _Block(nn.Module):
    def __init__(self, before: int, after: int):
        super().__init__()
        self.convolution = nn.Sequential(
            nn.Conv1d(before, after, KERNEL, stride=2, padding=KERNEL // 2, bias=False),
            nn.BatchNorm1d(after),
            nn.ReLU(),
            nn.Conv1d(after, after, KERNEL, padding=KERNEL // 2, bias=False),
            nn.BatchNorm1d(after),
        )
        self.shortcut = nn.Sequential(
            nn.Conv1d(before, after, 1, stride=2, bias=False), nn.BatchNorm1d(after), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.convolution(x) + self.shortcut(x))


register(TCResNetConfig, TCResNet)
