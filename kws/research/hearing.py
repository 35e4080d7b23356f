"""How streaming models do on the frozen test streams: misses against false alarms, equality with offline models, two stages.

Every model hears every scene once. What it said is kept, and all tables and curves come from that.
"""

from collections.abc import Callable, Iterable, Sequence
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
from kws.research.stream_study import KIND, StreamStudy
from kws.scenes import Scene, SceneConfig, long_stream, make_scene
from kws.streaming import TwoStage, load_stream, save_stream, streaming_model
from kws.streaming.equality import first_second_difference, largest_difference
from kws.streaming.onnx_export import save_onnx_stream
from kws.streaming.onnx_stream import OnnxStream
from kws.streaming.scoring import WAYS, Heard, Listener, StreamListener, WorkingPoint, working_points

SNRS_DB = (20, 10, 5, 0)
NEAR_SNRS_DB = (20, 10)  # of the streams that also hold near words
NEAR, TALK, VALIDATION_SPEECH = "near words", "talk", "validation speech"
MINUTE, TEN_MINUTES = 60 * SAMPLE_RATE, 600 * SAMPLE_RATE
TWO_STAGE_FILE = "streaming_two_stage.pt"


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
        self._said: dict[tuple[str, str], np.ndarray] = {}
        self._shares: dict[str, float] = {}

    @cached_property
    def scenes(self) -> dict[str, Scene]:
        """By name: keywords among other words by SNR, the same with talk that sounds like the keyword, and talk without it.

        Where recorded speech is given, also what of it no training heard.
        """
        sounds = self.study.sounds("test")
        words = replace(sounds, talk=[])
        found = {f"{snr} dB": long_stream(words, snr) for snr in SNRS_DB}
        found |= {f"{snr} dB, {NEAR}": long_stream(sounds, snr) for snr in NEAR_SNRS_DB}
        found[TALK] = talk_scene(self.study.settings, self.study.keyword)
        if self.study.settings.speech and (unheard := self.study.sounds("validation").recorded):
            found[VALIDATION_SPEECH] = in_a_row(unheard)
        return found

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """The streams with near words or without, each with the talk: on these thresholds are varied."""
        return {name: [name, TALK] for end in ("", f", {NEAR}") for name in (f"{snr} dB{end}" for snr in NEAR_SNRS_DB)}

    @property
    def judged(self) -> list[str]:
        """The scenes on which shipped thresholds are judged."""
        return [name for name in self.scenes if name != f"20 dB, {NEAR}"]

    def example(self) -> Scene:
        """A training scene with one keyword."""
        rng, sounds = np.random.default_rng(4), self.study.words("train")
        scenes = iter(lambda: make_scene(sounds, SceneConfig(), rng), None)
        return next(scene for scene in scenes if len(scene.keywords) == 1)

    def hear(self, listeners: dict[str, Callable], scenes: Iterable[str]) -> None:
        """Let each listener hear each scene, unless it did before, on every core."""
        missing = [(name, scene) for scene in scenes for name in listeners if (name, scene) not in self._said]
        streams = self.scenes  # made here, not by each worker

        def say(job: tuple[str, str]) -> np.ndarray:
            name, scene = job
            return listeners[name](streams[scene].waveform)

        self._said |= zip(missing, in_order(say, missing, "hearing", "stream"), strict=True)

    def said(self, listener: str, scene: str) -> np.ndarray:
        """The probabilities (steps,) of a scene that a listener has heard."""
        return self._said[listener, scene]

    def points(
        self, listeners: dict[str, Callable], groups: dict[str, list[str]], smoothing: int = SMOOTHING
    ) -> dict[tuple[str, str], list[WorkingPoint]]:
        """Misses and false alarms at many thresholds, by listener and group of scenes."""
        self.hear(listeners, dict.fromkeys(scene for group in groups.values() for scene in group))
        pairs = [(name, group) for name in listeners for group in groups]

        def score(pair: tuple[str, str]) -> list[WorkingPoint]:
            return self._points(listeners, pair[0], groups[pair[1]], smoothing)

        return dict(zip(pairs, in_order(score, pairs, "counting", "curve"), strict=True))

    def _points(self, listeners, name: str, scenes: Sequence[str], smoothing: int, thresholds=()) -> list[WorkingPoint]:
        listener, streams = listeners[name], [self.scenes[scene] for scene in scenes]
        heard = [
            Heard(self._said[name, scene], stream.keywords, len(stream.waveform) / SAMPLE_RATE)
            for scene, stream in zip(scenes, streams, strict=True)
        ]
        return working_points(heard, listener.step_samples, listener.first_sample, smoothing, thresholds)

    def ways(self, clip_base: nn.Module) -> dict[str, list[WorkingPoint]]:
        """The base of clips in three ways to stream it, on words at 10 dB and talk."""
        listeners = {way: Listener(clip_base, way) for way in WAYS}
        return {way: found for (way, _), found in self.points(listeners, {"": ["10 dB", TALK]}, 1).items()}

    @cached_property
    def listeners(self) -> dict[str, Listener]:
        """All seeds of the students, and those that were chosen: of more seeds perhaps than are asked for now."""
        study = self.study
        seeds = {n: sorted({*study.seeds(n), study.choice.seeds[n]}) for n in study.students}
        return {f"{n}, seed {s}": Listener(study.stream(n, s)) for n in study.students for s in seeds[n]}

    def chosen(self, name: str) -> str:
        """The listener of the seed that validation chose."""
        return f"{name}, seed {self.study.choice.seeds[name]}"

    @cached_property
    def curves(self) -> dict[tuple[str, str], list[WorkingPoint]]:
        """Of all seeds on all groups."""
        return self.points(self.listeners, self.groups)

    def shipped(self, scenes: Sequence[str] = ()) -> dict[tuple[str, str], WorkingPoint]:
        """The chosen students at the thresholds chosen on validation, by network and scene; by default on all that are judged."""
        scenes = scenes or self.judged
        chosen = {self.chosen(name): self.listeners[self.chosen(name)] for name in self.study.students}
        self.hear(chosen, scenes)
        thresholds = self.study.choice.thresholds
        return {
            (n, scene): self._points(chosen, self.chosen(n), [scene], SMOOTHING, [thresholds[n]])[0]
            for n in self.study.students
            for scene in scenes
        }

    @cached_property
    def both(self) -> StreamListener:
        """Two stages: the small model wakes the base."""
        return StreamListener(load_stream(self.stream_file(TWO_STAGE_FILE)))

    def two_stages(self) -> tuple[dict[str, WorkingPoint], dict[str, float], dict[str, list[WorkingPoint]]]:
        """At the shipped threshold by scene; the share of steps that the base computes; and at many thresholds by group."""
        listeners = {"two stages": self.both}

        def say(scene: str) -> tuple[np.ndarray, float]:
            said = self.both(self.scenes[scene].waveform)
            return said, self.both.stream.second_steps / self.both.stream.steps

        names = list(self.scenes)
        for scene, (said, share) in zip(names, in_order(say, names, "hearing in two stages", "stream"), strict=True):
            self._said["two stages", scene], self._shares[scene] = said, share
        threshold = self.both.stream.threshold
        fixed = {s: self._points(listeners, "two stages", [s], 1, [threshold])[0] for s in self.judged}
        curves = {group: found for (_, group), found in self.points(listeners, self.groups, 1).items()}
        return fixed, {scene: self._shares[scene] for scene in self.judged}, curves

    def equality(self) -> list[Equality]:
        """Each student as TorchScript, state carried on or asked about every last second."""
        jobs = [(name, carried) for name in self.study.students for carried in (True, False)]
        sound = self.scenes["10 dB"].waveform

        def compare(job: tuple[str, bool]) -> Equality:
            name, carried = job
            path = self.study.path(name, KIND, self.study.choice.seeds[name])
            script = torch.jit.script(streaming_model(path, carried))
            first = first_second_difference(script, self.study.stream(name), sound[:TEN_MINUTES])
            cut = largest_difference(script, sound[:MINUTE], self.study.effort.cuttings)
            return Equality(name, WAYS[0] if carried else WAYS[2], cut, first)

        return list(in_order(compare, jobs, "comparing cuttings", "model"))

    def ship(self, two_stages: bool = True) -> list[Saved]:
        """Write the chosen students, and both as two stages, as streams; a report compares what is there."""
        if not self.study.settings.report:
            streams = {name: self._stream(name) for name in self.study.students}
            for name, model in streams.items():
                save_stream(model, self.stream_file(f"{name}.pt"))
                save_onnx_stream(model, self.stream_file(f"{name}.onnx"))
            if two_stages:
                two = TwoStage(streams["streaming_small"], streams["streaming_base"])
                save_stream(two, self.stream_file(TWO_STAGE_FILE))
        return [self._saved(name) for name in self.study.students]

    def _stream(self, name: str) -> nn.Module:
        path, threshold = self.study.path(name, KIND, self.study.choice.seeds[name]), self.study.choice.thresholds[name]
        return streaming_model(path, threshold=threshold, smoothing=SMOOTHING)

    def _saved(self, name: str) -> Saved:
        script, onnx = self.stream_file(f"{name}.pt"), self.stream_file(f"{name}.onnx")
        minute, macs = self.scenes["10 dB"].waveform[:MINUTE], count_macs(self.study.stream(name))
        difference = np.abs(load_stream(script)(minute).numpy() - OnnxStream(onnx)(minute.numpy())).max()
        return Saved(name, macs, script.stat().st_size, onnx.stat().st_size, float(difference))

    def stream_file(self, name: str) -> Path:
        """A file of the streams that are handed out."""
        return self.study.weights / name

    def stream_files(self) -> list[Path]:
        """All of them."""
        names = [f"{name}{suffix}" for name in self.study.students for suffix in (".pt", ".onnx")]
        return [self.stream_file(name) for name in [*names, TWO_STAGE_FILE]]
