"""The CRNN: a convolution over the log-mel, a recurrent network over time, attention pooling, a linear classifier.

Source of the base's shape: the published course model that this repository reproduces. Its input is a log-mel of 40 bands;
one second is 101 frames, from which the convolution makes 11 steps.
"""

import math
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kws.data.spectrum import Spectrum

RECURRENT = {"gru": nn.GRU, "rnn": nn.RNN}
ATTENTION = ("mlp", "linear")


class ConfigError(ValueError):
    """A model config that describes no network; the message names the field."""


@dataclass(frozen=True)
class CRNNConfig:
    """The shape of a CRNN. Pairs are (frequency, time); the defaults are the base model, 25,387 parameters.

    Attributes:
        n_mels: bands of the log-mel.
        mean, std: constants; the network sees (log_mel - mean) / std.
        pool: average pooling of the log-mel before the convolution; (1, 1) is none.
        channels, kernel, stride: of the convolution (no padding).
        separable: instead of the first, a (kernel) convolution of one channel, then a 1 x 1 convolution to ``channels``.
        norm: batch norm after the convolution. relu: ReLU after that.
        deeper: (channels, kernel, stride) of each further convolution, with norm and ReLU as the first.
        rnn: "gru" or "rnn" (tanh). hidden, layers: its size.
        attention: energy of a step: "mlp" (Linear-tanh-Linear) or "linear" (Linear); softmax makes weights of the energies.
        classes: 2; column 1 of the logits is the keyword.
    """

    n_mels: int = 40
    mean: float = -7.0
    std: float = 5.0
    pool: tuple[int, int] = (1, 1)
    channels: int = 8
    kernel: tuple[int, int] = (5, 20)
    stride: tuple[int, int] = (2, 8)
    separable: bool = False
    norm: bool = False
    relu: bool = False
    deeper: tuple[tuple[int, tuple[int, int], tuple[int, int]], ...] = ()
    rnn: str = "gru"
    hidden: int = 32
    layers: int = 2
    attention: str = "mlp"
    classes: int = 2
    spectrum: ClassVar[Spectrum] = Spectrum()  # of the log-mel; kinds of network outside the paper have another

    def __post_init__(self) -> None:
        if self.rnn not in RECURRENT:
            raise ConfigError(f"rnn is {self.rnn!r}; it must be one of {', '.join(RECURRENT)}")
        if self.attention not in ATTENTION:
            raise ConfigError(f"attention is {self.attention!r}; it must be one of {', '.join(ATTENTION)}")
        # Every size must be there before a network can be made.
        sizes = (
            self.n_mels,
            *self.pool,
            *(size for channels, kernel, stride in self.convolutions for size in (channels, *kernel, *stride)),
            self.hidden,
            self.layers,
            self.classes,
        )
        if min(sizes) < 1 or self.std <= 0:
            raise ConfigError(f"every size and std must be positive: {self}")
        _ = self.bands  # refuses kernels that are too wide

    @property
    def convolutions(self) -> tuple[tuple[int, tuple[int, int], tuple[int, int]], ...]:
        """(channels, kernel, stride) of all."""
        return ((self.channels, self.kernel, self.stride), *self.deeper)

    @property
    def bands(self) -> int:
        """Frequency bands after the convolutions. Raises ``ConfigError`` for a kernel that is wider than what it hears."""
        bands = self.n_mels // self.pool[0]
        for _, kernel, stride in self.convolutions:
            if kernel[0] > bands:
                raise ConfigError(f"a kernel of {kernel[0]} bands is wider than the {bands} bands before it")
            bands = (bands - kernel[0]) // stride[0] + 1
        return bands

    @property
    def width(self) -> int:
        """Features of a step after the convolutions."""
        return self.convolutions[-1][0] * self.bands

    @property
    def step_frames(self) -> int:
        """Frames from step to step."""
        return math.prod(stride[1] for _, _, stride in self.convolutions) * self.pool[1]

    @property
    def least_frames(self) -> int:
        """Frames that a step hears, as many as the first step needs."""
        frames, step = 1, 1
        for _, kernel, stride in self.convolutions:
            frames += (kernel[1] - 1) * step
            step *= stride[1]
        return frames * self.pool[1]


class CRNN(nn.Module):
    """``model(log_mel)``: log-mel (batch, n_mels, frames) to logits (batch, classes)."""

    def __init__(self, config: CRNNConfig = CRNNConfig()):
        super().__init__()
        self.config = config
        self.pool = nn.AvgPool2d(config.pool) if config.pool != (1, 1) else nn.Identity()
        convolution: list[nn.Module] = []
        before = 1
        # Convolutions over bands and time, each with its norm and ReLU where the config asks for them.
        for channels, kernel, stride in config.convolutions:
            if config.separable and not convolution:
                convolution += [nn.Conv2d(1, 1, kernel, stride), nn.Conv2d(1, channels, 1)]
            else:
                convolution.append(nn.Conv2d(before, channels, kernel, stride))
            if config.norm:
                convolution.append(nn.BatchNorm2d(channels))
            if config.relu:
                convolution.append(nn.ReLU())
            before = channels
        self.convolution = nn.Sequential(*convolution)
        # One module a layer, not one of several layers: distillation takes each layer's output by its name.
        widths = [config.width] + [config.hidden] * (config.layers - 1)
        self.recurrent = nn.ModuleList(
            RECURRENT[config.rnn](width, config.hidden, batch_first=True) for width in widths
        )
        self.attention = Attention(config.hidden, config.attention)
        self.classifier = nn.Linear(config.hidden, config.classes)

    def forward(self, log_mel: Tensor) -> Tensor:
        config = self.config
        if log_mel.dim() != 3 or log_mel.shape[1] != config.n_mels or log_mel.shape[2] < config.least_frames:
            raise ValueError(
                f"the model takes a log-mel of shape (batch, {config.n_mels} bands, {config.least_frames} or more frames), got {tuple(log_mel.shape)}"
            )
        # Roughly mean 0 and variance 1, by constants: nothing is measured on the data.
        x = (log_mel - config.mean) / config.std  # (batch, n_mels, frames)
        x = self.convolution(self.pool(x.unsqueeze(1)))  # (batch, channels, bands, steps)
        # Channels and bands of a step become its features.
        x = x.flatten(1, 2).transpose(1, 2)  # (batch, steps, channels * bands)
        for layer in self.recurrent:
            x, _ = layer(x)  # (batch, steps, hidden)
        # One context for the whole clip, then the two classes.
        return self.classifier(self.attention(x))


class Attention(nn.Module):
    """Pools the steps (batch, steps, hidden) to one context (batch, hidden), a weighted mean."""

    def __init__(self, hidden: int, kind: str):
        super().__init__()
        if kind == "mlp":
            self.energy = nn.Sequential(nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1))
        else:
            self.energy = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.softmax(self.energy(x), dim=1)  # (batch, steps, 1), summing to 1 over the steps
        return (weights * x).sum(1)


NETWORKS: dict[type, type[nn.Module]] = {}
"""Each config's network; a module that defines another kind adds it with ``register``."""
ELSEWHERE = {"TCResNet": "tc_resnet", "StreamTeacher": "stream_teacher", "OwnFrontCRNN": "own_front"}
"""In which file of ``kws.research`` kinds outside the paper are defined: imported when a checkpoint names one."""


def register(config: type, network: type[nn.Module]) -> None:
    """Make a kind of network known to ``build`` and to checkpoints."""
    NETWORKS[config] = network


def build(config: Any) -> nn.Module:
    """A new network of a config, of whatever kind."""
    return NETWORKS[type(config)](config)


def config_kind(architecture: str) -> type:
    """The config class of a network's class name, as in a checkpoint. Raises ``KeyError`` for an unknown one."""
    if architecture in ELSEWHERE:
        import_module(f"kws.research.{ELSEWHERE[architecture]}")
    return {network.__name__: config for config, network in NETWORKS.items()}[architecture]


register(CRNNConfig, CRNN)
