"""A ``StreamStudy`` of a word that was typed: networks begin as a pretrained ear, and hear many scenes of synthetic voices briefly.

On a synthetic voice they would be perfect soon, and deaf to people: what the ear knows of people is to be kept.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from torch import nn
from tqdm import tqdm

from kws.checkpoint import load_model
from kws.compress import as_stored, fold_batch_norm
from kws.data.corpus import CorpusError
from kws.data.storage import fingerprint
from kws.research.material import TYPED, in_a_row, stand_in
from kws.research.narrow import narrowed
from kws.research.networks import FROM_EARS, PACKED, PACKED_FROM_EARS, TOGETHER, Rung
from kws.research.own import own_words, unlike
from kws.research.records import files_digest, recipe_of
from kws.research.scene_data import VERSION, Maker, scene_data, weights_of
from kws.research.settings import Settings
from kws.research.stepwise import LOG_MEL
from kws.research.stream_choice import SHOWN, SNR_DB, Choice, choose, write_choice
from kws.research.stream_study import KIND, STEPS_AN_EPOCH, StreamStudy
from kws.research.stream_targets import teach_stream
from kws.scenes import Scene, in_noise, long_stream, sound_files
from kws.trainer import Run, TrainConfig
from kws.voices.talk import VERSION as TALK_VERSION

OWN = ("positive", "negative")
TEACHER = "ear_teacher"
TALK_TIMES = 3  # ``stand_in_minutes`` of talk that thresholds are chosen on
TALK_SEED = 50  # of its voices
TIMES_AS_MANY = 36.0
"""Synthetic talk is full of words like the keyword: for a false alarm in recorded talk it is allowed so many. Words differ (docs/log.md)."""
BATCH = 64  # scenes a step: many small steps, for there are few
EXAMPLES = 256  # scenes by which it is chosen what of a wider network a student begins as


class WordStudy(StreamStudy):
    """Streams that begin as the ears of ``settings.ear``."""

    students = tuple(name for name in FROM_EARS if name != TEACHER)
    rungs = FROM_EARS
    packed = PACKED | PACKED_FROM_EARS
    teachers = ()
    longer = 2.0  # with any effort: so these recipes were chosen
    alarms_allowed = tuple(TIMES_AS_MANY * limit for limit in SHOWN)

    @cached_property
    def ears(self) -> dict[str, nn.Module]:
        """By size."""
        names = {rung.ear for rung in self.rungs.values() if rung.ear and rung.ear != TEACHER}
        return {name: load_model(Path(self.settings.ear) / f"{name}.pt") for name in sorted(names)}

    @cached_property
    def heard(self) -> list[str]:
        """The material besides the corpus, own recordings too, each with a checksum of its files."""
        own = {name: getattr(self.settings, name) for name in OWN}
        return [*super().given, *(f"{name} {files_digest(path)}" for name, path in own.items() if path)]

    @property
    def given(self) -> list[str]:
        """Also the ears."""
        return [*self.heard, *(f"ear {name} {fingerprint(weights_of([ear]))}" for name, ear in self.ears.items())]

    def recipe(self, name: str) -> str:
        if name not in self.rungs:
            return super().recipe(name)
        effort, rung = self.effort, self.rungs[name]
        trained_on = (
            VERSION,
            TALK_VERSION,
            effort.word_scenes,
            effort.validation_scenes,
            effort.talk_minutes,
            sorted(TYPED.items()),
            BATCH,
            self.longer,
            TOGETHER.get(name, 1),
            self.packed.get(name),
        )
        # What it begins as: the ear's weights, or by which recipe its teachers are made.
        started = (
            [self.recipe(TEACHER)] if rung.ear == TEACHER else weights_of([self.ears[rung.ear]] if rung.ear else [])
        )
        return recipe_of(replace(rung, title=""), self.settings.epochs, *trained_on, *started, *self.heard)

    def start(self, name: str, seed: int) -> nn.Module | None:
        ear = self.rungs[name].ear
        return self._begun[name, seed // TOGETHER.get(name, 1)] if ear == TEACHER else self.ears[ear] if ear else None

    def stream_config(self, rung: Rung, scenes: int) -> TrainConfig:
        return super().stream_config(rung, BATCH * STEPS_AN_EPOCH)

    def check_own(self) -> str:
        """What is to be said of own recordings that sound nothing like the word; "" where there is nothing to say.

        Raises ``CorpusError`` where more than half of them do not.
        """
        if not self.settings.positive:
            return ""
        own, words = own_words(self.settings.positive), self.words("train")
        names = [path.name for path in sound_files(self.settings.positive)]
        odd = [names[i] for i in unlike(own, words.keywords, words.words, self.ears["base"])]
        said = f"{len(odd)} of {len(own)} recordings in {self.settings.positive} sound nothing like {self.keyword!r} ({', '.join(odd[:5])})"
        if 2 * len(odd) > len(own):
            raise CorpusError(f"{said}: is it another word? Give its pronunciation with --say, or record it again")
        return f"note: {said}" if odd else ""

    def held_out(self) -> list[Scene]:
        """Keywords among words at 10 dB SNR, an hour of synthetic talk by other voices likewise, and of own recordings some without the word."""
        sounds, minutes = self.sounds("validation"), TALK_TIMES * self.effort.stand_in_minutes
        scenes = [long_stream(replace(sounds, talk=[]), SNR_DB, seed=1)]
        talk = stand_in(self.settings, self.keyword, minutes, "choice", TALK_SEED)
        scenes.append(in_noise(talk, sounds.noises, SNR_DB, seed=1))
        return scenes + ([in_a_row(sounds.recorded)] if sounds.recorded else [])

    def _fit(self) -> Choice:
        if note := self.check_own():
            tqdm.write(note)
        effort, split = self.effort, self.splits[KIND]
        maker = Maker({s: self.sounds(s) for s in ("train", "validation")}, cache=self.settings.cache)
        data = scene_data(self.corpus, self.keyword, split, maker, effort.word_scenes, effort.validation_scenes)
        # Teachers from labels; what all of them say on average is what students learn.
        taught = self._train_all(self._jobs(TEACHER), data)
        means = {seed: run.model for (_, seed), run in self._means(TEACHER, taught).items()}
        # Students that begin as their mean; one of another width as what of it is worth most.
        some = data.train.heard(LOG_MEL)[:EXAMPLES].float()
        self._begun = {
            (name, seed): narrowed(mean, rung.config, some) if rung.config != mean.config else mean
            for name, rung in self.rungs.items()
            for seed, mean in means.items()
            if rung.ear == TEACHER
        }
        targets = teach_stream([run.model for run in taught.values()], data)
        found = self._train_all([job for name in self.students for job in self._jobs(name)], data, targets)
        runs = {job: _as_kept(job[0], run) for n in self.students for job, run in self._means(n, found).items()}
        self.choice_file.unlink(missing_ok=True)  # a killed process must not leave it beside other weights
        for (name, seed), run in runs.items():
            self.save_run((name, KIND, seed), run)
        choice = choose(self, runs, [len(data.train.labels)])
        write_choice(self.choice_file, choice)
        return choice

    def _jobs(self, name: str) -> list[tuple[str, int]]:
        """The trainings of all seeds of a network."""
        return [(name, i) for i in range(TOGETHER.get(name, 1) * len(self.seeds(name)))]

    def _means(self, name: str, runs: dict[tuple[str, int], Run]) -> dict[tuple[str, int], Run]:
        """Of each seed's trainings the mean."""
        count = TOGETHER.get(name, 1)
        return {
            (name, seed): mean_of([runs[name, count * seed + i] for i in range(count)]) for seed in self.seeds(name)
        }


def mean_of(runs: Sequence[Run]) -> Run:
    """The network whose weights are the means of those of some trainings that began alike (Wortsman et al. 2022, arXiv:2203.05482).

    Its record is that of the first: what it is worth is measured on streams.
    """
    model, states = deepcopy(runs[0].model), [run.model.state_dict() for run in runs]
    model.load_state_dict(
        {k: sum(state[k] for state in states) / len(states) for k in states[0] if states[0][k].is_floating_point()},
        strict=False,
    )
    return replace(runs[0], model=model)


def _as_kept(name: str, run: Run) -> Run:
    """With the values of its checkpoint: the threshold is for these."""
    if name not in PACKED_FROM_EARS:
        return run
    return replace(run, model=as_stored(fold_batch_norm(run.model), PACKED_FROM_EARS[name], packed=True))


def open_stream_study(settings: Settings) -> StreamStudy:
    """The study of a word that was typed where there is an ear to begin with, and of recordings otherwise."""
    return WordStudy(settings) if settings.ear else StreamStudy(settings)
