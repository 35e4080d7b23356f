"""Training: class-balanced batches of augmented views, AdamW, a one-cycle schedule, averaged weights, the best epoch kept."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from kws.architectures import Config, build
from kws.data.augment import spec_augment
from kws.data.storage import CheckpointError, fingerprint, load_safely, save_whole
from kws.distill import Distillation, DistillConfig, Lessons, tap
from kws.evaluate import probabilities
from kws.metrics import au_fa_fr
from kws.model import CRNNConfig
from kws.views import TrainingData

VERSION = 3  # of what the code below does with a config: raise it when that changes, or finished runs would be taken for new ones


class TrainingError(RuntimeError):
    """A training that cannot go on; the message says what to change."""


@dataclass(frozen=True)
class TrainConfig:
    """The recipe. Shares are between 0 and 1.

    Attributes:
        epochs: passes; each draws as many clips as there are training clips, with replacement.
        keyword_share: of the clips drawn (class balance).
        clean_share: of the clips drawn, taken as recorded rather than as an augmented view.
        learning_rate: the peak of the one-cycle schedule (Smith and Topin 2018, arXiv:1708.07120), reached after ``warm_up`` of the steps.
        label_smoothing: share of the label spread over both classes, against clips whose word is cut off or missing.
        average: decay per step of the exponential moving average of the weights, less in trainings of fewer than 500 steps; the average is
            what is judged and kept.
        keep: "best" keeps the epoch of lowest validation loss; "last" the last one. A student of soft labels is less sure of itself, so its
            loss on hard labels is lowest long before it orders clips best: it is kept last.
        masks, mask_bands, mask_frames: SpecAugment: how many of each kind, and the widest.
    """

    epochs: int = 50
    batch: int = 256
    keyword_share: float = 0.5
    clean_share: float = 0.1
    learning_rate: float = 6e-3
    warm_up: float = 0.1
    weight_decay: float = 0.01
    label_smoothing: float = 0.03
    average: float = 0.996
    clip_gradient: float = 2.0
    keep: str = "best"
    masks: int = 0
    mask_bands: float = 3.0
    mask_frames: float = 8.0

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch) < 1 or not self.learning_rate > 0 or not 0 < self.keyword_share < 1:
            raise ValueError(
                f"epochs and batch must be at least 1, learning_rate positive, keyword_share within 0 and 1: {self}"
            )
        if self.keep not in ("best", "last"):
            raise ValueError(f"keep is {self.keep!r}; it must be 'best' or 'last'")


@dataclass
class Run:
    """A finished training: the model of its best epoch, in eval mode on the CPU, and one dict an epoch.

    history: epoch, loss, validation_loss, validation_au_fa_fr, seconds. best_epoch counts from 1.
    """

    model: nn.Module
    history: list[dict[str, float]]
    best_epoch: int

    @property
    def validation_loss(self) -> float:
        """Of the kept epoch."""
        return self.history[self.best_epoch - 1]["validation_loss"]


def train(
    data: TrainingData,
    model_config: Config = CRNNConfig(),
    config: TrainConfig = TrainConfig(),
    seed: int = 0,
    lessons: Lessons | None = None,
    distill: DistillConfig = DistillConfig(),
    runs: str | Path | None = None,
    device: str | torch.device | None = None,
    name: str = "training",
) -> Run:
    """Train one model; on the CPU the same data, configs and seed give the same weights.

    With the ``lessons`` of a teacher (``kws.distill.teach``) the loss is what ``distill`` says.

    The best epoch is the one of lowest loss on the validation clips: their AU_FA_FR hangs on one or two mislabelled
    clips among a hundred or so of the keyword, and chose worse epochs. With a folder ``runs`` the state is kept there
    after every epoch: a killed run goes on from it to the same weights, and a finished one is loaded. The device is a
    GPU if there is one. Raises ``TrainingError`` if the loss is no longer a number.
    """
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    learning = (lessons.key, distill) if lessons else ()
    key = fingerprint(VERSION, data.key, model_config, config, seed, device.type, *learning)
    return drive(lambda: Trainer(data, model_config, config, seed, device, lessons, distill), key, runs, name)


def drive(make: Callable[[], "Trainer"], key: str, runs: str | Path | None, name: str) -> Run:
    """Run the epochs that a trainer lacks, with a progress bar, keeping its state below ``runs`` under this key."""
    trainer = make()
    path = None if runs is None else Path(runs) / f"{name.replace(' ', '_')}-seed{trainer.seed}-{key}.pt"
    if path is not None and path.exists():
        try:
            trainer.load_state(load_safely(path))
        except (CheckpointError, KeyError, TypeError, ValueError, RuntimeError) as error:
            tqdm.write(f"{path.name} is not a state to resume from, starting anew ({error})")
            trainer = make()
    epochs = trainer.config.epochs
    with tqdm(total=epochs, initial=trainer.epoch, desc=f"{name}, seed {trainer.seed}", unit="epoch") as bar:
        if trainer.epoch == epochs:
            bar.set_postfix_str("finished before, loaded")
        while trainer.epoch < epochs:
            row = trainer.run_epoch()
            if path is not None:
                save_whole(trainer.state(), path)
            bar.set_postfix_str(
                f"loss {row['loss']:.4f}, validation AU_FA_FR {row['validation_au_fa_fr']:.2e}, {row['seconds']:.1f} s"
            )
            bar.update()
    return trainer.finish()


class Trainer:
    """The state of one training, epoch by epoch; ``train`` drives it."""

    def __init__(
        self,
        data: TrainingData,
        model_config: Config,
        config: TrainConfig,
        seed: int,
        device: torch.device,
        lessons: Lessons | None = None,
        distill: DistillConfig = DistillConfig(),
    ):
        if not len(data.views):
            raise ValueError(
                "these data have no views, so they serve for evaluation only: make them with views of 1 or more"
            )
        self.data, self.config, self.seed, self.device = data, config, seed, device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = build(model_config).to(device)
            self.distillation = self._distillation(lessons, distill)
        learned = [*self.model.parameters(), *(self.distillation.parameters() if self.distillation else ())]
        self.optimizer = torch.optim.AdamW(learned, config.learning_rate, weight_decay=config.weight_decay)
        self.layer_errors: dict[str, list[Tensor]] = {}
        self.train_clips = torch.from_numpy(data.split.train)
        steps = -(-len(self.train_clips) // config.batch) * config.epochs
        # In a short training the average must not be of the weights that it began with.
        average = min(config.average, max(0.0, 1 - 2 / steps))
        self.averaged = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(average), use_buffers=True)
        # OneCycleLR divides by the steps of the warm-up less one.
        warm_up = config.warm_up * (2 if config.warm_up * steps == 1 else 1)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, config.learning_rate, total_steps=steps, pct_start=warm_up
        )
        labels = data.labels[self.train_clips].reshape(len(self.train_clips), -1)  # one each, or one a frame
        holds = (labels == 1).any(1)
        self.draw_weights = torch.where(
            holds, config.keyword_share / holds.sum(), (1 - config.keyword_share) / (~holds).sum()
        )
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Any] = {"loss": float("inf"), "epoch": 0, "weights": {}}

    def _distillation(self, lessons: Lessons | None, distill: DistillConfig) -> nn.Module | None:
        """What has parameters of its own to learn, beside the model's."""
        return (
            Distillation(self.model, lessons, distill, self.data.split.fingerprint).to(self.device) if lessons else None
        )

    def run_epoch(self) -> dict[str, float]:
        """One pass over as many clips as there are, on one thread of the CPU: with more, sums come in another order and weights differ
        between machines, and models this small gain little."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return self._run_epoch()
        finally:
            torch.set_num_threads(threads)

    def _run_epoch(self) -> dict[str, float]:
        started = time.perf_counter()
        # Everything random in an epoch follows from seed and epoch alone, so that a resumed run needs no generator state.
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        drawn = torch.multinomial(self.draw_weights, len(self.train_clips), replacement=True, generator=generator)
        self.model.train()
        losses = [self.step(rows, generator) for rows in drawn.split(self.config.batch)]
        loss = float(torch.stack(losses).mean())
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} in epoch {self.epoch + 1}: the training has diverged, lower the learning rate"
            )
        area, validation_loss = self._judge()
        self.epoch += 1
        row = {
            "epoch": self.epoch,
            "loss": loss,
            "validation_au_fa_fr": area,
            "validation_loss": validation_loss,
            "seconds": time.perf_counter() - started,
        }
        row |= {f"error of {pair}": float(torch.stack(errors).mean()) for pair, errors in self.layer_errors.items()}
        self.layer_errors = {}
        self.history.append(row)
        if validation_loss < self.best["loss"] or self.config.keep == "last":
            weights = {
                name: tensor.detach().cpu().clone() for name, tensor in self.averaged.module.state_dict().items()
            }
            self.best = {"loss": validation_loss, "epoch": self.epoch, "weights": weights}
        return row

    def _batch(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Log-mels, labels and views of some rows of the training clips, each a random view or, at times, as recorded (the last view)."""
        clips = self.train_clips[rows]
        view = torch.randint(len(self.data.views), (len(rows),), generator=generator)
        log_mel = self.data.views[view, rows].float()
        clean = torch.rand(len(rows), generator=generator) < self.config.clean_share
        log_mel[clean] = self.data.log_mel[clips[clean]]
        if self.config.masks:
            log_mel = spec_augment(
                log_mel, generator, self.config.masks, self.config.mask_bands, self.config.mask_frames
            )
        view[clean] = len(self.data.views)
        return log_mel.to(self.device), self.data.labels[clips].to(self.device), view

    def step(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        loss = self._loss(*self._batch(rows, generator), rows)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_gradient)
        self.optimizer.step()
        self.schedule.step()
        self.averaged.update_parameters(self.model)
        return loss.detach()

    def _loss(self, log_mel: Tensor, labels: Tensor, views: Tensor, rows: Tensor) -> Tensor:
        with tap(self.model, [mine for mine, _ in self.distillation.pairs] if self.distillation else ()) as outputs:
            logits = self.model(log_mel)
        loss = nn.functional.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)
        if self.distillation:
            loss, errors = self.distillation(logits, outputs, labels, loss, views, rows)
            for pair, error in errors.items():
                self.layer_errors.setdefault(pair, []).append(error.detach())
        return loss

    def _judge(self) -> tuple[float, float]:
        """AU_FA_FR and loss of the averaged weights on the validation clips."""
        clips = torch.from_numpy(self.data.split.validation)
        p = probabilities(self.averaged.module.eval(), self.data.log_mel[clips], self.device).double()
        if not torch.isfinite(p).all():
            raise TrainingError(f"the weights are no longer numbers in epoch {self.epoch + 1}: lower the learning rate")
        labels = self.data.labels[clips]
        loss = nn.functional.binary_cross_entropy(p, labels.double())
        return au_fa_fr(p, labels), float(loss)

    def state(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()} | {
            "epoch": self.epoch,
            "history": self.history,
            "best": self.best,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.epoch, self.history, self.best = state["epoch"], state["history"], state["best"]

    def _parts(self) -> dict[str, Any]:
        parts = {"model": self.model, "averaged": self.averaged, "optimizer": self.optimizer, "schedule": self.schedule}
        return parts | ({"distillation": self.distillation} if self.distillation else {})

    def finish(self) -> Run:
        model = build(self.model.config)
        model.load_state_dict(self.best["weights"])
        return Run(model.eval(), self.history, self.best["epoch"])
