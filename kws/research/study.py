"""One keyword in one corpus: recordings, splits, networks, seeds and folders, so that a notebook says what, not where.

study = Study(Settings.from_environment(corpus="synthetic", keyword="sheila"))
study.fit("base", "teacher", "gru_small"); study.measure("base", "gru_small")
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import product
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import nn

from kws.checkpoint import load_model, load_provenance, save_model
from kws.compress import as_stored, fold_batch_norm
from kws.data.jobs import in_order
from kws.data.locks import one_at_a_time
from kws.data.runs import before_forking
from kws.data.storage import replacing
from kws.evaluate import judge, judge_checkpoint, provenance
from kws.metrics import au_fa_fr, one_minus_auc
from kws.research.conditions import RECORDED
from kws.research.heard import Recorded, few_views, frames_of, front_end, heard, views_of
from kws.research.measured import Measured, measure
from kws.research.networks import PACKED, RUNGS, STORED, TEACHERS, Rung, titles
from kws.research.pictures import save_picture
from kws.research.records import Record, is_trained, read_record, recipe_of, record_path, sound_of, write_record
from kws.research.settings import EFFORTS, Effort, NotTrained, Settings
from kws.research.teachers import mean_targets
from kws.split import SPLITS
from kws.targets import Targets, teach
from kws.train import train
from kws.trainer import Run, TrainConfig
from kws.views import TrainingData, decode, training_data

KINDS = tuple(SPLITS)
Job = tuple[str, str, int]  # name, kind of split, seed


class Study:
    """All that the notebooks on clips share: settings, keyword, clips, corpus, splits, sets, folders of weights and plots."""

    packed = PACKED

    def __init__(self, settings: Settings):
        corpus, self.settings, self.keyword = settings.open_corpus(), settings, settings.keyword
        self.clips = decode(corpus, settings.cache)
        self.corpus, self.sound = self.clips.corpus, sound_of(self.clips)
        self.splits = {kind: make(self.corpus, self.keyword, settings.split_seed) for kind, make in SPLITS.items()}
        self.weights, self.plots = map(Path, ("weights", "plots"), settings.results_names(corpus))
        self._targets: dict[tuple | Path, Targets] = {}  # of a kind of students, and of each teacher alone
        self._views: dict[tuple, TrainingData] = {}

    @property
    def effort(self) -> Effort:
        """How much is made, heard and timed."""
        return EFFORTS[self.settings.effort]

    @cached_property
    def sets(self) -> dict[str, TrainingData]:
        """By kind of split, the clips to be judged on: without augmented views."""
        return {kind: training_data(self.clips, self.keyword, split, views=0) for kind, split in self.splits.items()}

    @cached_property
    def recorded(self) -> Recorded:
        """The same through any front end."""
        return Recorded(self.clips, self.sets)

    def training(self, kind: str, name: str = "base") -> TrainingData:
        """The clips of a kind of split with their views as a network hears them; made when a training first needs them."""
        own, split = front_end(name), self.splits[kind]
        if (key := (kind, *frames_of(own))) not in self._views:
            views, cache = views_of(self.settings, len(split.train)), self.settings.cache
            self._views[key] = training_data(self.clips, self.keyword, split, views, cache=cache, front_end=own)
        return self._views[key]

    def path(self, name: str, kind: str, seed: int) -> Path:
        """The checkpoint of one seed."""
        return self.weights / "seeds" / f"{name}-{kind}-{seed}.pt"

    def seeds(self, name: str) -> range:
        """The seeds of a network: of teachers four."""
        return range(TEACHERS if name == "teacher" else self.settings.seeds)

    def model(self, name: str, kind: str = "published", seed: int = 0) -> nn.Module:
        """A saved network."""
        return load_model(self.path(name, kind, seed))

    def fit(self, *names: str, kinds: tuple[str, ...] = KINDS) -> None:
        """Train networks on each kind of split with each seed, on every core, teachers first, and save each; those that are there are not trained again.

        Raises ``NotTrained`` where only a report was asked for.
        """
        jobs = [(name, kind, seed) for name in names for kind in kinds for seed in self.seeds(name)]
        missing = [job for job in jobs if not self.is_there(*job)]
        print(f"{len(jobs)} trainings, {len(jobs) - len(missing)} of them done before")
        if not missing:
            return
        self.may_train(self.path(*missing[0]))
        teachers = {"teacher", *(teacher for name, _, _ in missing for teacher in RUNGS[name].also)}
        waiting = [job for job in missing if RUNGS[job[0]].learns and any(name in teachers for name, _, _ in missing)]
        self._train_each([job for job in missing if job not in waiting])
        self._train_each(waiting)

    def _train_each(self, jobs: list[Job]) -> None:
        # What the workers share is made before they are forked.
        for name, kind, _ in jobs:
            self.training(kind, name)
            if RUNGS[name].learns:
                self.targets(kind, RUNGS[name])
        before_forking()
        workers = 1 if torch.cuda.is_available() else None
        sizes = {job: self.config(RUNGS[job[0]]).epochs for job in jobs}
        for _ in in_order(self._train, jobs, "training", "epoch", sizes.__getitem__, ticks=True, jobs=workers):
            pass

    def may_train(self, path: Path) -> None:
        """Raise ``NotTrained`` if this is a report."""
        if self.settings.report:
            raise NotTrained(
                f"{path}: not there, or of another split or recipe. A report trains nothing: give corpus, seeds, epochs and"
                " effort as the weights were trained with, or run `make notebooks` or `make publish`, which train"
            )

    def is_there(self, name: str, kind: str, seed: int) -> bool:
        """Whether the network was trained before, on this split of this sound and by this recipe."""
        path = self.path(name, kind, seed)
        return not self.settings.anew and is_trained(path, self.splits[kind].fingerprint, self.recipe(name), self.sound)

    def recipe(self, name: str) -> str:
        """The fingerprint of how a network is trained, and its teachers, beside split and seed."""
        rung = replace(RUNGS[name], title="")
        teacher = [replace(RUNGS[other], title="") for other in ("teacher", *rung.also)] if rung.learns else []
        few = few_views(self.settings)
        return recipe_of(rung, *teacher, self.settings.epochs, self.settings.views, *few)

    def config(self, rung: Rung) -> TrainConfig:
        """The schedule of a network."""
        return TrainConfig(
            epochs=max(1, round(self.settings.epochs * rung.epochs)),
            learning_rate=rung.learning_rate,
            weight_decay=rung.weight_decay,
            keep="last" if rung.learns else "best",
        )

    def _train(self, job: Job) -> None:
        name, kind, seed = job
        rung, data = RUNGS[name], self.training(kind, name)
        taught = (self.targets(kind, rung), rung.learns) if rung.learns else ()
        how = {"runs": Path(self.settings.cache) / "runs", "name": f"{name} {kind}", "progress": False}
        self.save_run(job, train(data, rung.config, self.config(rung), seed, *taught, **how))

    def save_run(self, job: Job, run: Run) -> None:
        """Write a finished training: the network, batch norm folded in, and its record."""
        # Neither a killed process nor two at once may leave this record beside the weights of another recipe.
        path, storage = self.path(*job), self.packed.get(job[0], "float32")
        with one_at_a_time(path):
            record_path(path).unlink(missing_ok=True)
            self.write(job, fold_batch_norm(run.model), run.validation_loss, storage, job[0] in self.packed)
            write_record(path, Record(self.recipe(job[0]), run.best_epoch, run.history, sound=self.sound))

    def write(self, job: Job, model: nn.Module, validation_loss: float, storage: str, packed: bool) -> None:
        """Judge a network as it will be stored, on its test clips, and write it with what was measured."""
        name, kind, seed = job
        p, y = judge(as_stored(model, storage, packed), self.recorded(front_end(name))[kind])
        metrics = {"test 1-AUC": one_minus_auc(p, y), "test AU_FA_FR": au_fa_fr(p, y)}
        about = provenance(self.sets[kind], seed, metrics | {"validation loss": validation_loss})
        save_model(self.path(name, kind, seed), model, about, storage, packed)

    def store_again(self, *names: str) -> None:
        """Save finished networks in their other forms, float16 and int8."""
        if self.settings.report:
            return
        for name, kind in product(names, KINDS):
            for seed in self.seeds(name):
                form, source = STORED[name], self.path(STORED[name].source, kind, seed)
                loss = load_provenance(source).metrics["validation loss"]
                self.write((name, kind, seed), load_model(source), loss, form.storage, form.packed)

    def targets(self, kind: str, rung: Rung) -> Targets:
        """The mean of its teachers; and of the first all layers that some network learns from."""
        data = self.training(kind)
        if (key := (kind, rung.teachers, rung.also)) not in self._targets:
            layers = sorted({other for each in RUNGS.values() if each.learns for _, other in each.learns.pairs})
            first, *others = [self.path("teacher", kind, seed) for seed in range(rung.teachers)]
            others += [self.path(name, kind, seed) for name in rung.also for seed in self.seeds(name)]
            for path in (first, *others):
                self._targets[path] = self._targets.get(path) or teach(path, data, layers if path == first else ())
            self._targets[key] = mean_targets([self._targets[path] for path in (first, *others)])
        # What teachers say of a take holds whatever it is heard through.
        return replace(self._targets[key], n_mels=rung.config.n_mels)

    def measure(
        self,
        *names: str,
        base: Sequence[Measured] = (),
        snr_db: float | None = None,
        noise: str = RECORDED,
        called: dict[str, str] | None = None,
    ) -> list[Measured]:
        """Cost and quality of saved networks on the kinds of split that each was trained on.

        ``snr_db`` adds noise to the test clips, the corpus' own or a kind of ``UNHEARD``; ``called`` gives other titles.
        """
        sets = heard(self.recorded, {name: front_end(name) for name in names}, KINDS, snr_db, noise)
        return measure(titles(*names) | (called or {}), {name: self.files(name) for name in names}, sets, base)

    def files(self, name: str) -> dict[str, list[Path]]:
        """The checkpoints of all seeds by kind of split, of those kinds that the network was trained on."""
        kinds = [kind for kind in KINDS if self.path(name, kind, 0).is_file()]
        if not kinds:
            raise NotTrained(f"{self.path(name, KINDS[0], 0)}: not there; train it first (Study.fit)")
        return {kind: [self.path(name, kind, seed) for seed in self.seeds(name)] for kind in kinds}

    def judged(self, name: str, kind: str, seed: int = 0):
        """Probabilities and labels, both (clips,), of a saved network on its test clips."""
        return judge_checkpoint(self.path(name, kind, seed), self.recorded(front_end(name))[kind])

    def curves(self, *names: str, kinds: tuple[str, ...] = KINDS) -> dict[str, Record]:
        """The learning curves that are known, by title."""
        jobs = [(name, kind, seed) for name in names for kind in kinds for seed in self.seeds(name)]
        found = {_title(*job, names, kinds): record for job in jobs if (record := read_record(self.path(*job)))}
        return {title: record for title, record in found.items() if record.history}

    def best_seed(self, name: str, kind: str = "published") -> int:
        """The seed of lowest validation loss."""
        loss = {s: load_provenance(self.path(name, kind, s)).metrics["validation loss"] for s in self.seeds(name)}
        return min(loss, key=loss.__getitem__)

    def hand_out(self, name: str, kind: str = "published", file: str = "") -> Path:
        """Copy the best seed of a network to ``weights/<results>/<name>.pt``; a report only says where it is."""
        target = self.weights / f"{file or name}.pt"
        if not self.settings.report:
            with replacing(target) as temporary:
                shutil.copyfile(self.path(name, kind, self.best_seed(name, kind)), temporary)
        return target

    def save(self, figure: Figure, name: str) -> None:
        """Write a figure as PNG to ``plots/<results>/<name>.png`` and show it."""
        save_picture(figure, self.plots / f"{name}.png")


def _title(name: str, kind: str, seed: int, names: Sequence[str], kinds: Sequence[str]) -> str:
    """What tells one training from others: without what all have in common."""
    parts = [titles(name)[name]] * (len(names) > 1) + [kind] * (len(kinds) > 1)
    return ", ".join([*parts, f"seed {seed}"])
