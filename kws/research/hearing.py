"""How streaming models do on the frozen test streams: misses against false alarms, equality with offline models, two stages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from kws.cost import count_macs
from kws.data.audio import SAMPLE_RATE
from kws.data.jobs import in_order
from kws.research.material import in_a_row, talk_scene
from kws.research.stream_choice import SMOOTHING
from kws.research.stream_study import KIND, STUDENTS, StreamStudy
from kws.scenes import Scene, long_stream
from kws.streaming import TwoStage, load_stream, save_stream, streaming_model
from kws.streaming.equality import first_second_difference, largest_difference
from kws.streaming.onnx_export import save_onnx_stream
from kws.streaming.onnx_stream import OnnxStream
from kws.streaming.scoring import WAYS, Listener, StreamListener, WorkingPoint, points

SNRS_DB = (20, 10, 5, 0)
NEAR_SNRS_DB = (20, 10)  # of the streams that also hold near words
MINUTE, TEN_MINUTES = 60 * SAMPLE_RATE, 600 * SAMPLE_RATE


@dataclass(frozen=True)
class Equality:
    """Largest differences in probability: between cuttings of a minute, and from the offline model on seconds of sound."""

    name: str
    way: str
    cuttings: float
    offline: float


@dataclass(frozen=True)
class Saved:
    """A stream's files: MACs a second and bytes, and the largest difference between the two on a minute."""

    name: str
    macs: int
    torchscript_bytes: int
    onnx_bytes: int
    difference: float


class Hearing:
    """The test streams of a study, and what its models say of them. Every keyword clip of the test speakers is said once in each."""

    def __init__(self, study: StreamStudy):
        self.study = study

    @cached_property
    def noisy(self) -> dict[int, Scene]:
        """Keywords among other words of test speakers, by SNR in dB."""
        words = replace(self.study.sounds("test"), talk=[])
        return {snr: long_stream(words, snr) for snr in SNRS_DB}

    @cached_property
    def near_words(self) -> dict[int, Scene]:
        """The same with synthetic talk, in which three words in ten are made or picked to sound like the keyword."""
        return {snr: long_stream(self.study.sounds("test"), snr) for snr in NEAR_SNRS_DB}

    @cached_property
    def talk(self) -> Scene:
        """Talk without the keyword."""
        return talk_scene(self.study.settings, self.study.keyword)

    def points(
        self, listeners: dict[str, Callable], scenes: dict[str, Sequence[Scene]], smoothing: int = SMOOTHING
    ) -> dict[str, list[WorkingPoint]]:
        """Misses and false alarms at many thresholds, of each listener on each group of scenes, on every core.

        Names are those of listener and group, joined by a comma where both have one.
        """
        pairs = {_joined(a, b): (a, b) for a in listeners for b in scenes}

        def hear(name: str) -> list[WorkingPoint]:
            listener, group = pairs[name]
            return points(listeners[listener], scenes[group], smoothing)

        return dict(zip(pairs, in_order(hear, list(pairs), "hearing", "stream"), strict=True))

    def ways(self, clip_base: nn.Module) -> dict[str, list[WorkingPoint]]:
        """The base of clips in three ways to stream it, on words at 10 dB and talk."""
        listeners = {way: Listener(clip_base, way) for way in WAYS}
        return self.points(listeners, {"": [self.noisy[10], self.talk]}, smoothing=1)

    def chosen(self) -> dict[str, Listener]:
        """The students that go on, by name."""
        return {name: Listener(self.study.stream(name)) for name in STUDENTS}

    def every_seed(self) -> dict[str, list[WorkingPoint]]:
        """All seeds of the students, each with the talk, on words and near words."""
        study = self.study
        listeners = {f"{n}, seed {s}": Listener(study.stream(n, s)) for n in STUDENTS for s in study.seeds(n)}
        groups = {f"{snr} dB": [scene, self.talk] for snr, scene in self.noisy.items() if snr in NEAR_SNRS_DB}
        groups |= {f"{snr} dB, near words": [scene, self.talk] for snr, scene in self.near_words.items()}
        return self.points(listeners, groups)

    def judged(self) -> dict[str, Scene]:
        """On what the shipped thresholds are judged: streams, talk and, where it is given, recorded validation speech."""
        scenes = {f"{snr} dB": scene for snr, scene in self.noisy.items()}
        scenes |= {"10 dB, near words": self.near_words[10], "talk": self.talk}
        if self.study.settings.speech:
            scenes["validation speech"] = in_a_row(self.study.sounds("validation").recorded)
        return scenes

    def shipped(self) -> dict[str, WorkingPoint]:
        """The students at the thresholds chosen on validation."""
        scenes, listeners, thresholds = self.judged(), self.chosen(), self.study.choice.thresholds
        pairs = {f"{name}, {title}": (name, title) for name in listeners for title in scenes}

        def hear(pair: str) -> WorkingPoint:
            name, title = pairs[pair]
            return points(listeners[name], [scenes[title]], SMOOTHING, [thresholds[name]])[0]

        return dict(zip(pairs, in_order(hear, list(pairs), "hearing", "stream"), strict=True))

    def equality(self) -> list[Equality]:
        """Each student as TorchScript, state carried on or asked about every last second."""
        jobs = [(name, carried) for name in STUDENTS for carried in (True, False)]

        def compare(job: tuple[str, bool]) -> Equality:
            name, carried = job
            path = self.study.path(name, KIND, self.study.choice.seeds[name])
            script, sound = torch.jit.script(streaming_model(path, carried)), self.noisy[10].waveform
            first = first_second_difference(script, self.study.stream(name), sound[:TEN_MINUTES])
            cut = largest_difference(script, sound[:MINUTE], self.study.effort.cuttings)
            return Equality(name, WAYS[0] if carried else WAYS[2], cut, first)

        return list(in_order(compare, jobs, "comparing cuttings", "model"))

    def two_stages(self) -> tuple[dict[str, WorkingPoint], dict[str, list[WorkingPoint]]]:
        """The small model that wakes the base: at the shipped threshold, by scene and how much the base computed; and at many."""
        path = self.stream_file("streaming_two_stage.pt")
        scenes = self.judged()
        both = StreamListener(load_stream(path))

        def hear(title: str) -> tuple[str, WorkingPoint]:
            [point] = points(both, [scenes[title]], thresholds=[both.stream.threshold])
            share = both.stream.second_steps / both.stream.steps
            return f"{title} (the base computes {share:.1%})", point

        fixed = dict(in_order(hear, list(scenes), "hearing in two stages", "stream"))
        groups = {f"{snr} dB": [self.noisy[snr], self.talk] for snr in NEAR_SNRS_DB}
        groups |= {f"{snr} dB, near words": [self.near_words[snr], self.talk] for snr in NEAR_SNRS_DB}
        return fixed, self.points({"": both}, groups, smoothing=1)

    def ship(self) -> list[Saved]:
        """Write the chosen students, and both as two stages, as streams; a report compares what is there."""
        if not self.study.settings.report:
            streams = {name: self._stream(name) for name in STUDENTS}
            for name, model in streams.items():
                save_stream(model, self.stream_file(f"{name}.pt"))
                save_onnx_stream(model, self.stream_file(f"{name}.onnx"))
            two = TwoStage(streams["streaming_small"], streams["streaming_base"])
            save_stream(two, self.stream_file("streaming_two_stage.pt"))
        return [self._saved(name) for name in STUDENTS]

    def _stream(self, name: str) -> nn.Module:
        path, threshold = self.study.path(name, KIND, self.study.choice.seeds[name]), self.study.choice.thresholds[name]
        return streaming_model(path, threshold=threshold, smoothing=SMOOTHING)

    def _saved(self, name: str) -> Saved:
        script, onnx = self.stream_file(f"{name}.pt"), self.stream_file(f"{name}.onnx")
        minute, macs = self.noisy[10].waveform[:MINUTE], count_macs(self.study.stream(name))
        difference = np.abs(load_stream(script)(minute).numpy() - OnnxStream(onnx)(minute.numpy())).max()
        return Saved(name, macs, script.stat().st_size, onnx.stat().st_size, float(difference))

    def stream_file(self, name: str) -> Path:
        """A file of the streams that are handed out."""
        return self.study.weights / name


def _joined(*names: str) -> str:
    return ", ".join(name for name in names if name)
