"""Talk to listen to, teachers that listen, and the tables of what was detected."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tabulate import tabulate
from torch import Tensor

from kws.data.audio import SAMPLE_RATE, to_float
from kws.data.corpus import readable
from kws.features import HOP
from kws.model import CRNN
from kws.research.speech_embedding import STEP, SpeechEmbedding
from kws.research.stream_teacher import StreamTeacher
from kws.scenes import Scene, sound_files
from kws.streaming.scoring import Listener, WorkingPoint
from kws.voices.talk import synthetic_talk

GAP_SECONDS = 0.5  # of silence between two recordings of talk


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


def listen_with(model: CRNN | StreamTeacher, embedding: SpeechEmbedding | None) -> Listener | TeacherListener:
    """What hears streams with a scout or teacher of either kind."""
    return TeacherListener(model, embedding) if isinstance(model, StreamTeacher) and embedding else Listener(model)


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
