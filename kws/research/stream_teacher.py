"""A teacher of streams that hears through a pretrained embedding: convolutions over the last steps of it."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kws.model import ConfigError, register


@dataclass(frozen=True)
class StreamTeacherConfig:
    """features: of the embedding, a step. width, kernel, layers: of the convolutions over time."""

    features: int = 96
    width: int = 128
    kernel: int = 3
    layers: int = 3
    dropout: float = 0.2
    classes: int = 2

    def __post_init__(self) -> None:
        sizes = (self.features, self.width, self.kernel, self.layers, self.classes)
        if min(sizes) < 1 or not 0 <= self.dropout < 1:
            raise ConfigError(f"every size must be positive, dropout from 0 to 1: {self}")


class StreamTeacher(nn.Module):
    """``model.whole(embedded)``: features (batch, features, steps) to logits (batch, steps, classes); no step hears a later one."""

    step_frames = kernel_frames = 1  # its frames are the embedding's steps

    def __init__(self, config: StreamTeacherConfig = StreamTeacherConfig()):
        super().__init__()
        self.config = config
        widths = [config.features] + [config.width] * config.layers
        self.norm = nn.BatchNorm1d(config.features)
        self.time = nn.Sequential(
            *(_Causal(before, config.width, config.kernel, config.dropout) for before in widths[:-1])
        )
        self.classifier = nn.Conv1d(config.width, config.classes, 1)

    def whole(self, embedded: Tensor) -> Tensor:
        return self.classifier(self.time(self.norm(embedded))).transpose(1, 2)

    def forward(self, embedded: Tensor) -> Tensor:
        """Logits (batch, classes) of the last step. Raises ``ValueError`` for features of another shape."""
        if embedded.dim() != 3 or embedded.shape[1] != self.config.features or not embedded.shape[2]:
            raise ValueError(
                f"the model takes features of shape (batch, {self.config.features}, 1 or more steps), got {tuple(embedded.shape)}"
            )
        return self.whole(embedded)[:, -1]


class _Causal(nn.Module):
    """A convolution over the past, and a way past it where it is as wide."""

    def __init__(self, before: int, after: int, kernel: int, dropout: float):
        super().__init__()
        self.pad = kernel - 1
        self.convolution = nn.Conv1d(before, after, kernel, bias=False)
        self.norm, self.dropout = nn.BatchNorm1d(after), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.dropout(torch.relu(self.norm(self.convolution(nn.functional.pad(x, (self.pad, 0))))))
        return x + y if x.shape[1] == y.shape[1] else y


register(StreamTeacherConfig, StreamTeacher)
