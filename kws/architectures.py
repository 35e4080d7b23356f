"""The kinds of network that can be trained, saved and loaded, by the name that a checkpoint carries."""

from torch import nn

from kws.model import CRNN, CRNNConfig
from kws.research.stream_teacher import StreamTeacher, StreamTeacherConfig
from kws.research.tc_resnet import TCResNet, TCResNetConfig

ARCHITECTURES = {
    "CRNN": (CRNN, CRNNConfig),
    "TCResNet": (TCResNet, TCResNetConfig),
    "StreamTeacher": (StreamTeacher, StreamTeacherConfig),
}
Config = CRNNConfig | TCResNetConfig | StreamTeacherConfig


def build(config: Config) -> nn.Module:
    """A new network of a config."""
    return next(model(config) for model, kind in ARCHITECTURES.values() if isinstance(config, kind))
