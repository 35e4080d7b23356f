"""What streaming models do in long streams: probabilities, misses against false alarms, and equality, for the notebook's tables."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tabulate import tabulate
from torch import Tensor, nn

from kws.data.audio import SAMPLE_RATE, to_float
from kws.data.corpus import readable
from kws.evaluate import keyword_probability
from kws.features import HOP
from kws.model import CRNN
from kws.research.speech_embedding import STEP, SpeechEmbedding
from kws.research.stream_teacher import StreamTeacher
from kws.scenes import Scene, sound_files
from kws.streaming.detection import Heard, WorkingPoint, working_points
from kws.streaming.network import StreamingCRNN, StreamingModel
from kws.voices.talk import synthetic_talk

WAYS = ("state carried on", "reset every second", "every last second")
GAP_SECONDS = 0.5  # of silence between two recordings of talk


@dataclass(frozen=True)
class Listener:
    """A model and one of the three ways to stream it.

    "state carried on": the recurrent layers never start again. "every last second": at each step the offline model on the last second.
    "reset every second": the stream is cut into seconds, and each is a clip: one probability a second.
    """

    model: CRNN
    way: str = WAYS[0]

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise ValueError(f"no way {self.way!r} to stream; there are {', '.join(WAYS)}")
        object.__setattr__(self, "stream", StreamingModel(StreamingCRNN(self.model, self.way != WAYS[2])))

    @property
    def step_samples(self) -> int:
        return SAMPLE_RATE if self.way == WAYS[1] else self.stream.step_samples

    @property
    def first_sample(self) -> int:
        return SAMPLE_RATE if self.way == WAYS[1] else self.stream.first_sample

    @torch.inference_mode()
    def __call__(self, waveform: Tensor) -> np.ndarray:
        """Probabilities (steps,) of a waveform (samples,) from a reset on."""
        self.stream.reset()
        if self.way != WAYS[1]:
            return self.stream(waveform).numpy()
        network = self.stream.network
        seconds = waveform[: len(waveform) // SAMPLE_RATE * SAMPLE_RATE].reshape(-1, SAMPLE_RATE)
        parts = [network(batch, network.start(len(batch)))[0][:, -1] for batch in seconds.split(256)]
        return torch.cat(parts).numpy()


@dataclass(frozen=True)
class TeacherListener:
    """A teacher that hears through an embedding, as a ``Listener``: its state runs on too, for it has none but the last steps."""

    model: StreamTeacher
    embedding: SpeechEmbedding
    step_samples: int = STEP * HOP
    first_sample: int = 3 * HOP

    @torch.inference_mode()
    def __call__(self, waveform: Tensor) -> np.ndarray:
        return torch.softmax(self.model.eval().whole(self.embedding.of_long(waveform)[None])[0], 1)[:, 1].numpy()


@dataclass(frozen=True)
class StreamListener:
    """A streaming model, such as ``load_stream`` gives, as a ``Listener``."""

    stream: nn.Module

    @property
    def step_samples(self) -> int:
        return self.stream.step_samples

    @property
    def first_sample(self) -> int:
        return self.stream.first_sample

    @torch.inference_mode()
    def __call__(self, waveform: Tensor) -> np.ndarray:
        self.stream.reset()
        return self.stream(waveform).numpy()


def listen_with(model: CRNN | StreamTeacher, embedding: SpeechEmbedding | None) -> Listener | TeacherListener:
    """What hears streams with a scout or teacher of either kind."""
    return TeacherListener(model, embedding) if isinstance(model, StreamTeacher) and embedding else Listener(model)


def points(
    listener: Listener | TeacherListener | StreamListener,
    scenes: Sequence[Scene],
    smoothing: int = 1,
    thresholds: Sequence[float] = (),
) -> list[WorkingPoint]:
    """Miss rate and false alarms of all scenes together at many thresholds."""
    heard = [Heard(listener(s.waveform), s.keywords, len(s.waveform) / SAMPLE_RATE) for s in scenes]
    return working_points(heard, listener.step_samples, listener.first_sample, smoothing, thresholds)


def points_table(rows: dict[str, WorkingPoint]) -> str:
    """A line a working point: threshold, misses and false alarms per hour with 95 % intervals, and the median delay."""
    lines = []
    for name, p in rows.items():
        missed = "{:.1%} [{:.1%}, {:.1%}]".format(p.miss_rate, *p.miss_interval) if p.keywords else ""
        alarms = "{:.2f} [{:.2f}, {:.2f}]".format(p.false_alarms_per_hour, *p.false_alarm_interval)
        delay = f"{p.median_delay:.2f} s" if p.misses < p.keywords else ""
        lines.append(
            [
                name,
                f"{p.threshold:.4f}",
                f"{p.misses} of {p.keywords}",
                missed,
                p.false_alarms,
                f"{p.hours:.2f}",
                alarms,
                delay,
            ]
        )
    heads = ["", "threshold", "missed", "rate", "false alarms", "hours", "false alarms an hour", "median delay"]
    return tabulate(lines, heads, disable_numparse=True, colalign=["left"] + ["right"] * 7)


def talk_scene(folder: str, keyword: str, minutes: float, seed: int) -> Scene:
    """Talk without the keyword, for false alarms: every sound file below ``folder``, or, if that is "", synthetic phrases of other voices."""
    if folder:
        recordings = [waveform for _, waveform in readable(sound_files(folder))]
    else:
        recordings = [0.3 * to_float(p) for p in synthetic_talk(keyword, minutes, 0, seed).phrases]
    return in_a_row(recordings)


def in_a_row(recordings: Sequence[Tensor]) -> Scene:
    """One scene of recordings without the keyword, with half a second of silence after each."""
    gap = torch.zeros(int(GAP_SECONDS * SAMPLE_RATE))
    return Scene(torch.cat([part for recording in recordings for part in (to_float(recording), gap)]), [])


@torch.inference_mode()
def largest_difference(model, waveform: Tensor, cuttings: int, seed: int = 0) -> float:
    """The largest difference in probability between random cuttings of a waveform (samples,) and the whole of it, of a model that streams.

    Chunks are of none to 30,000 samples, short and long in turn. NaN if the model ever says NaN.
    """
    generator = torch.Generator().manual_seed(seed)
    model.reset()
    whole = model(waveform)
    largest = torch.zeros(())
    for _ in range(cuttings):
        model.reset()
        parts, position = [], 0
        while position < len(waveform):
            draw, empty = torch.rand(2, generator=generator).tolist()
            size = 0 if empty < 0.1 else int(10 ** (4.5 * draw))
            parts.append(model(waveform[position : position + size]))
            position += size
        largest = torch.maximum(largest, (torch.cat(parts) - whole).abs().max())
    return float(largest)


@torch.inference_mode()
def first_second_difference(stream, model: CRNN, waveform: Tensor) -> float:
    """The largest difference between a stream at the end of the first second after a reset and the offline model, over a waveform's seconds."""
    seconds = waveform[: len(waveform) // SAMPLE_RATE * SAMPLE_RATE].reshape(-1, SAMPLE_RATE)
    streamed = []
    for second in seconds:
        stream.reset()
        streamed.append(stream(second)[-1])
    return float((torch.stack(streamed) - keyword_probability(model, seconds)).abs().max())
