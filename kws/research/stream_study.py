"""A ``Study`` of networks that listen all day: scenes, scouts, teachers and students, and the choice of what is shipped."""

import math
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from kws.checkpoint import load_model, save_model
from kws.data.jobs import in_order
from kws.data.runs import before_forking
from kws.evaluate import provenance
from kws.research.material import sounds_for, words_for
from kws.research.mining import add_hardest
from kws.research.networks import STREAMS, Rung
from kws.research.records import files_digest, recipe_of
from kws.research.scene_data import Maker, SceneData, add_scenes, scene_data
from kws.research.scene_objective import LABELS, train_stream
from kws.research.speech_embedding import SpeechEmbedding, load_speech_embedding
from kws.research.stream_choice import SHOWN, Choice, choose, read_choice, validation_scenes, write_choice
from kws.research.stream_targets import StreamTargets, teach_stream
from kws.research.study import Study
from kws.scenes import Scene, Sounds
from kws.trainer import Run, TrainConfig

KIND = "speaker-disjoint"  # a stream is heard by strangers
STUDENTS = ("streaming_base", "streaming_small")
BATCH, SMALLEST_BATCH, STEPS_AN_EPOCH = 256, 32, 90
"""Scenes a step: 256, or fewer so that an epoch has 90 steps. Learning rates are for 256 and fall with the root of the batch."""
MINING = ((3.0, 0.75), (1.5, 0.375))
"""Candidates of each round of mining, and how many of them are kept, times the scenes trained on at first."""
MORE = 1.0
"""Scenes that students alone hear, times those trained on at first."""


class StreamStudy(Study):
    """A study whose networks are trained on scenes, of speakers that no test hears."""

    students = STUDENTS
    rungs = STREAMS
    alarms_allowed = (
        SHOWN  # an hour of what is held out: for the threshold that is shipped, and for another that is shown
    )

    @cached_property
    def embedding(self) -> SpeechEmbedding | None:
        """The pretrained embedding that some teachers hear through, if the settings name one."""
        return load_speech_embedding(self.settings.embedding) if self.settings.embedding else None

    def sounds(self, subset: str) -> Sounds:
        """What scenes of a subset are made of."""
        found = self.__dict__.setdefault("_sounds", {})
        if subset not in found:
            found[subset] = sounds_for(subset, self.clips, self.keyword, self.splits[KIND], self.settings)
        return found[subset]

    def words(self, subset: str) -> Sounds:
        """The words and noises of a subset alone."""
        return words_for(subset, self.clips, self.keyword, self.splits[KIND])

    @property
    def given(self) -> list[str]:
        """Which material there is besides the corpus, each with a checksum of its files."""
        paths = {name: getattr(self.settings, name) for name in ("voices", "speech", "embedding")}
        return [f"{name} {files_digest(path)}" for name, path in paths.items() if path]

    @property
    def teachers(self) -> tuple[str, ...]:
        """One kind hears log-mels and, with an embedding, another hears through it."""
        return ("streaming_teacher", "embedding_teacher") if self.settings.embedding else ("streaming_teacher",)

    def seeds(self, name: str) -> range:
        """Of teachers of streams at most two of a kind."""
        if name in ("streaming_teacher", "embedding_teacher"):
            return range(min(2, self.settings.seeds))
        return super().seeds(name)

    def recipe(self, name: str) -> str:
        """Of streams also the effort; with what else they were trained is kept with the choice, for a report has none of it."""
        if name not in STREAMS:
            return super().recipe(name)
        settings = self.settings
        effort, rounds = self.effort, MINING[: self.effort.mining]
        trained_on = (effort.scenes, effort.validation_scenes, effort.talk_minutes, rounds, MORE)
        if self.longer != 1:  # the committed recipes are of full effort, and have no such part
            trained_on += (self.longer,)
        return recipe_of(replace(STREAMS[name], title=""), settings.epochs, *trained_on)

    @property
    def longer(self) -> float:
        """Times the epochs that recipes name, for they are of full effort: of fewer scenes, epochs have fewer steps."""
        return 1.0 if self.settings.effort == "full" else 2.0

    def fit_streams(self) -> None:
        """Train teachers and students, save them, and choose seeds and thresholds; what is there is not made again.

        Raises ``NotTrained`` where only a report was asked for.
        """
        jobs = [(name, KIND, seed) for name in (*self.teachers, *self.students) for seed in self.seeds(name)]
        missing = [job for job in jobs if job[0] in self.students and not self.is_there(*job)]
        choice = None if missing else read_choice(self.choice_file)
        made_otherwise = choice and (choice.given not in (None, self.given) or choice.allowed != self.alarms_allowed)
        if made_otherwise and not self.settings.report:
            choice = None  # with other material, or for other limits
        if choice is None:
            self.may_train(self.path(*(missing or jobs)[0]) if missing else self.choice_file)
            choice = self._fit()
        self.choice: Choice = choice

    @property
    def choice_file(self) -> Path:
        """Where the choice is kept."""
        return self.weights / "seeds" / "streaming_choice.json"

    def _fit(self) -> Choice:
        effort, split = self.effort, self.splits[KIND]
        sounds = {subset: self.sounds(subset) for subset in ("train", "validation")}
        maker = Maker(sounds, embedding=self.embedding, cache=self.settings.cache)
        data = scene_data(self.corpus, self.keyword, split, maker, effort.scenes, effort.validation_scenes)
        counts = [len(data.train.labels)]
        # One or two rounds of mining: by small networks, then by a teacher of each kind trained on what those found.
        scouts = ("scout", "embedding scout") if self.settings.embedding else ("scout",)
        first = {}
        rounds = list(zip((scouts, self.teachers), MINING, strict=True))[: effort.mining]
        for number, (names, (looked, kept)) in enumerate(rounds):
            found = self._train_all([(name, 0) for name in names], data)
            first = first or found
            keep = max(1, round(effort.scenes * kept / len(names)))
            models = [run.model for run in found.values()]
            data = add_hardest(data, models, maker, max(1, round(effort.scenes * looked)), keep, number)
        counts.append(len(data.train.labels))
        # Teachers on all of that, then students on it and on scenes that their teachers do not know.
        taught = self._train_all([(name, seed) for name in self.teachers for seed in self.seeds(name)], data)
        data = add_scenes(data, maker, max(1, round(effort.scenes * MORE)))
        counts.append(len(data.train.labels))
        targets = teach_stream([run.model for run in taught.values()], data)
        students = self._train_all([(name, seed) for name in self.students for seed in self.seeds(name)], data, targets)
        self.choice_file.unlink(missing_ok=True)  # a killed process must not leave it beside other weights
        for (name, seed), run in (taught | students).items():
            self.save_run((name, KIND, seed), run)
        choice = choose(self, first | taught | students, counts)
        write_choice(self.choice_file, choice)
        return choice

    def write(self, job, model: nn.Module, validation_loss: float, storage: str, packed: bool) -> None:
        """Networks of streams are not judged on clips: what they are worth is measured on streams."""
        if job[0] not in self.rungs:
            super().write(job, model, validation_loss, storage, packed)
        else:
            about = provenance(self.sets[job[1]], job[2], {"validation loss": validation_loss})
            save_model(self.path(*job), model, about, storage, packed)

    def _train_all(
        self, jobs: list[tuple[str, int]], data: SceneData, targets: StreamTargets | None = None
    ) -> dict[tuple[str, int], Run]:
        """Networks (name, seed) on every core, by that; finished ones are taken from the cache."""

        def run(job: tuple[str, int], progress: bool = False) -> Run:
            name, seed = job
            rung, runs = self.rungs[name], Path(self.settings.cache) / "runs"
            config = self.stream_config(rung, len(data.train.labels))
            learns = rung.learns or LABELS
            taught = targets if learns.logits else None
            return train_stream(
                data, rung.config, config, seed, taught, learns, runs, f"{name} scenes", progress, self.start(*job)
            )

        epochs = {job: self.stream_config(self.rungs[job[0]], 1).epochs for job in jobs}
        workers = 1 if torch.cuda.is_available() else None
        title = f"training {', '.join(dict.fromkeys(self.rungs[name].title for name, _ in jobs))}"
        before_forking()
        # A worker leaves its network in the cache, where it is then read from.
        for _ in in_order(lambda job: run(job) and None, jobs, title, "epoch", epochs.__getitem__, True, jobs=workers):
            pass
        return {job: run(job) for job in jobs}

    def held_out(self) -> list[Scene]:
        """On what seeds and thresholds are chosen."""
        return validation_scenes(self)

    def start(self, name: str, seed: int) -> nn.Module | None:
        """What a network begins as; None is by chance."""
        return None

    def stream_config(self, rung: Rung, scenes: int) -> TrainConfig:
        """The schedule of a network on so many scenes."""
        # Of few scenes, batches of 256 would be so few steps that a network hardly learns.
        batch = min(BATCH, max(SMALLEST_BATCH, scenes // STEPS_AN_EPOCH))
        return replace(
            self.config(replace(rung, epochs=self.longer * rung.epochs)),
            batch=batch,
            learning_rate=rung.learning_rate * math.sqrt(batch / BATCH),
            keep="last",
            clean_share=0.0,
            label_smoothing=0.0,
        )

    def stream(self, name: str, seed: int | None = None) -> nn.Module:
        """A saved network of streams; without a seed the chosen one."""
        return load_model(self.path(name, KIND, self.choice.seeds[name] if seed is None else seed))
