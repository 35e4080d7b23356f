"""The training loop: batches drawn by chance, AdamW, a one-cycle schedule, averaged weights, the best epoch kept.

``Trainer`` knows nothing of clips, scenes or teachers. What a network is trained *for* is an ``Objective`` that is handed to it:
``kws.train`` has that of clips, ``kws.research.scene_objective`` that of streams.
"""

import math
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from kws.model import build

# Of what the loop does with a config: raise it when that changes, or finished runs would be taken for new ones.
VERSION = 4


class TrainingError(RuntimeError):
    """A training that cannot go on; the message says what to change."""


@dataclass(frozen=True)
class TrainConfig:
    """The recipe. Shares are between 0 and 1; raises ``ValueError`` for a field out of range.

    Attributes:
        epochs: passes; each draws as many rows as there are for training, with replacement.
        batch: rows a step.
        keyword_share: of the rows drawn (class balance).
        clean_share: of the clips drawn, taken as recorded rather than as an augmented view.
        learning_rate: the peak of the one-cycle schedule (Smith and Topin 2018, arXiv:1708.07120).
        warm_up: share of the steps before that peak.
        weight_decay: of AdamW.
        label_smoothing: share of the label spread over both classes, against clips whose word is cut off or missing.
        average: decay per step of the moving average of the weights, which is what is judged and kept.
        clip_gradient: largest norm of the gradient.
        keep: "best" keeps the epoch of lowest validation loss, "last" the last one.
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
    # A student of soft labels is less sure of itself: its loss on hard labels is lowest long before it orders clips best,
    # so it is kept last. AU_FA_FR would choose worse epochs: it hangs on one or two mislabelled clips of a hundred.
    keep: str = "best"

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch) < 1 or not self.learning_rate > 0 or not 0 < self.keyword_share < 1:
            raise ValueError(f"epochs and batch must be at least 1, rate positive, share within 0 and 1: {self}")
        if self.keep not in ("best", "last"):
            raise ValueError(f"keep is {self.keep!r}; it must be 'best' or 'last'")


class Judgement(NamedTuple):
    """AU_FA_FR and loss (nats) on the validation data."""

    au_fa_fr: float
    loss: float


class Objective(nn.Module):
    """What a network is trained for. Parameters of its own, such as projection heads, are trained along and thrown away.

    Attributes:
        chances: (rows,) how likely each training row is to be drawn, summing to 1.
    """

    chances: Tensor

    def attach(self, model: nn.Module) -> None:
        """Make what depends on the network; called once, on its device, with random numbers seeded."""

    def batch(self, rows: Tensor, generator: torch.Generator) -> Any:
        """What ``loss`` takes, of some training rows (batch,); all randomness comes from ``generator``."""
        raise NotImplementedError

    def loss(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss to go down, and errors by name to be recorded."""
        raise NotImplementedError

    def judge(self, model: nn.Module) -> Judgement:
        """How good a network in eval mode is on the validation data."""
        raise NotImplementedError


@dataclass
class Run:
    """A finished training: the network of its kept epoch, in eval mode on the CPU, and one dict an epoch.

    history: epoch, loss, validation_loss, validation_au_fa_fr, seconds, "error of ...". best_epoch counts from 1.
    """

    model: nn.Module
    history: list[dict[str, float]]
    best_epoch: int

    @property
    def validation_loss(self) -> float:
        """Of the kept epoch."""
        return self.history[self.best_epoch - 1]["validation_loss"]


class Trainer:
    """The state of one training, epoch by epoch; ``kws.data.runs.drive`` runs it to its end."""

    def __init__(self, objective: Objective, model_config: Any, config: TrainConfig, seed: int, device: torch.device):
        self.config, self.seed, self.device = config, seed, device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = build(model_config).to(device)
            objective.attach(self.model)
        self.objective = objective.to(device)
        # Heads of the objective are trained along with the network.
        learned = [*self.model.parameters(), *objective.parameters()]
        self.optimizer = torch.optim.AdamW(learned, config.learning_rate, weight_decay=config.weight_decay)
        steps = -(-len(objective.chances) // config.batch) * config.epochs
        # In a short training the average must not be of the weights that it began with.
        average = min(config.average, max(0.0, 1 - 2 / steps))
        self.averaged = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(average), use_buffers=True)
        # OneCycleLR divides by the steps of the warm-up less one.
        warm_up = config.warm_up * (2 if config.warm_up * steps == 1 else 1)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, config.learning_rate, total_steps=steps, pct_start=warm_up
        )
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Any] = {"loss": float("inf"), "epoch": 0, "weights": {}}

    def run_epoch(self) -> dict[str, float]:
        """One pass over as many rows as there are. Raises ``TrainingError`` if the loss is no longer a number."""
        started = time.perf_counter()
        # Everything random in an epoch follows from seed and epoch alone, so that a resumed run needs no generator state.
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        chances = self.objective.chances
        drawn = torch.multinomial(chances, len(chances), replacement=True, generator=generator)
        self.model.train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator.initial_seed())  # dropout takes no generator
            losses, errors = zip(*(self.step(rows, generator) for rows in drawn.split(self.config.batch)), strict=True)
        loss = float(torch.stack(losses).mean())
        if not math.isfinite(loss):
            raise TrainingError(f"the loss is {loss} in epoch {self.epoch + 1}: diverged, lower the learning rate")
        # The averaged weights are judged, and kept if they are the best so far.
        judged = self.objective.judge(self.averaged.module.eval())
        if not math.isfinite(judged.loss):
            raise TrainingError(f"the weights are no longer numbers in epoch {self.epoch + 1}: lower the learning rate")
        self.epoch += 1
        row = {"epoch": self.epoch, "loss": loss, "validation_au_fa_fr": judged.au_fa_fr}
        row |= {"validation_loss": judged.loss, "seconds": time.perf_counter() - started}
        row |= {f"error of {name}": float(torch.stack([e[name] for e in errors]).mean()) for name in errors[0]}
        self.history.append(row)
        if judged.loss < self.best["loss"] or self.config.keep == "last":
            kept = self.averaged.module.state_dict()
            weights = {name: tensor.detach().cpu().clone() for name, tensor in kept.items()}
            self.best = {"loss": judged.loss, "epoch": self.epoch, "weights": weights}
        return row

    def step(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """One step of the optimizer on some rows (batch,): its loss and errors, detached."""
        loss, errors = self.objective.loss(self.model, self.objective.batch(rows, generator))
        # Only the network's gradient is clipped; heads are small.
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_gradient)
        self.optimizer.step()
        self.schedule.step()
        self.averaged.update_parameters(self.model)
        return loss.detach(), {name: error.detach() for name, error in errors.items()}

    def _parts(self) -> dict[str, Any]:
        parts = {"model": self.model, "averaged": self.averaged, "objective": self.objective}
        return parts | {"optimizer": self.optimizer, "schedule": self.schedule}

    def state(self) -> dict[str, Any]:
        """All that a killed training goes on from."""
        progress = {"epoch": self.epoch, "history": self.history, "best": self.best}
        return {name: part.state_dict() for name, part in self._parts().items()} | progress

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.epoch, self.history, self.best = state["epoch"], state["history"], state["best"]

    def finish(self) -> Run:
        """The network of the kept epoch."""
        model = build(self.model.config)
        model.load_state_dict(self.best["weights"])
        return Run(model.eval(), self.history, self.best["epoch"])
