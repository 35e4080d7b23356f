"""Networks that answer at every step of a sound, whatever they hear it through: one face for students, teachers and scouts."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from kws.features import HOP
from kws.model import CRNN
from kws.research.speech_embedding import STEP, SpeechEmbedding, embedded_steps
from kws.research.stream_teacher import StreamTeacher
from kws.streaming.network import StreamingCRNN
from kws.streaming.scoring import Listener

LOG_MEL, EMBEDDING = "log_mel", "embedded"  # what is heard: the names of the fields of scenes


class Stepwise(Protocol):
    """hears: the field of scenes that ``whole`` takes (``LOG_MEL`` or ``EMBEDDING``)."""

    hears: str

    def whole(self, heard: Tensor) -> Tensor:
        """Logits (scenes, steps, classes) of what is heard of scenes."""

    def ends(self, frames: int) -> Tensor:
        """The frame (steps,) float with which each step of scenes of so many frames ends."""

    def listener(self, embedding: SpeechEmbedding | None) -> Callable[[Tensor], np.ndarray]:
        """What gives the probabilities (steps,) of a waveform (samples,), with ``step_samples`` and ``first_sample``."""


class CRNNSteps:
    """A CRNN with its state carried on; it hears log-mels."""

    hears = LOG_MEL

    def __init__(self, model: CRNN):
        self.model, self.network = model, StreamingCRNN(model).to(next(model.parameters()).device)
        self.whole = self.network.whole

    def ends(self, frames: int) -> Tensor:
        return torch.arange(self.network.kernel_frames - 1, frames, self.network.step_frames).float()

    def listener(self, embedding: SpeechEmbedding | None) -> Listener:
        return Listener(self.model)


class TeacherSteps:
    """A ``StreamTeacher``: it hears a pretrained embedding."""

    hears = EMBEDDING

    def __init__(self, model: StreamTeacher):
        self.model = model.eval()
        self.whole = model.whole

    def ends(self, frames: int) -> Tensor:
        return embedded_steps(frames).float()

    def listener(self, embedding: SpeechEmbedding | None) -> "TeacherListener":
        if embedding is None:
            raise ValueError("this network hears through an embedding, and none was given: set KWS_EMBEDDING")
        return TeacherListener(self.model, embedding)


class TeacherListener:
    """A ``StreamTeacher`` on a waveform: its state runs on too, for it has none but the last steps."""

    step_samples, first_sample = STEP * HOP, 3 * HOP

    def __init__(self, model: StreamTeacher, embedding: SpeechEmbedding):
        self.model, self.embedding = model.eval(), embedding

    @torch.inference_mode()
    def __call__(self, waveform: Tensor) -> np.ndarray:
        """Probabilities (steps,) of a waveform (samples,)."""
        return torch.softmax(self.model.whole(self.embedding.of_long(waveform)[None])[0], 1)[:, 1].numpy()


STEPWISE = {CRNN: CRNNSteps, StreamTeacher: TeacherSteps}
"""The face of each kind of network."""


def stepwise(model: nn.Module) -> Stepwise:
    """A network's answers at every step, sharing its layers. Raises ``KeyError`` for a kind that has none."""
    return STEPWISE[type(model)](model)
