"""The objective of streams: scenes instead of clips, a label for every step, and a recurrent state that never starts again.

A model trained on isolated clips has never had to forget: its state starts at zero with every word. Here it runs through scenes
of several seconds. Each step has its own label: keyword for a moment after the word's end, neither while the word is being said
and for a while after that, and nothing else otherwise.

A layer can be pulled towards a pretrained embedding as well (``DistillConfig.layers``): it is led to tell all words apart, not only
the keyword from those that the scenes hold.
"""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kws.data.runs import drive, state_path
from kws.data.storage import fingerprint
from kws.distill import DistillConfig, ProjectedPair, soften, softened_kl
from kws.metrics import au_fa_fr
from kws.research.scene_data import VERSION, SceneData, weights_of
from kws.research.speech_embedding import embedded_steps
from kws.research.stepwise import Stepwise, stepwise
from kws.research.stream_targets import StreamTargets
from kws.scenes.batches import BATCH, IGNORED, OVER
from kws.targets import alignment, tap
from kws.trainer import VERSION as TRAIN_VERSION
from kws.trainer import Judgement, Objective, Run, TrainConfig, Trainer

EMBEDDING = "embedding"  # what layers are paired with
LABELS = DistillConfig()  # they alone
KEYWORD_WEIGHT = 2.0  # of a step of the keyword in the loss; there are some twenty others for each


class SceneBatch(NamedTuple):
    """heard: what the network takes of the scenes; labels: (batch, steps); rows: (batch,) of the training scenes."""

    heard: Tensor
    labels: Tensor
    rows: Tensor


class SceneObjective(Objective):
    """Tell the keyword's steps from others in scenes, from labels, from teachers' ``targets`` and from the embedding.

    ``distill`` weighs labels, with ``targets`` logits, and layers: each of its ``pairs`` names a recurrent layer, to be pulled towards
    the scenes' embedding through a learned projection; without an embedding nothing is. Its ranking is not for streams.
    Raises ``ValueError`` for a ``config.clean_share`` other than 0 (scenes have no form "as recorded"), for pairs of other layers, and
    for logits without targets.
    """

    def __init__(
        self,
        data: SceneData,
        config: TrainConfig,
        targets: StreamTargets | None = None,
        distill: DistillConfig = LABELS,
        halved: bool = False,
        device: torch.device = torch.device("cpu"),
        start: nn.Module | None = None,
    ):
        super().__init__()
        if config.clean_share:
            raise ValueError(f"clean_share is {config.clean_share}; scenes are not recorded clips, it must be 0")
        if distill.layers and any(
            not mine.startswith("recurrent.") or other != EMBEDDING for mine, other in distill.pairs
        ):
            raise ValueError(f"pairs are of a recurrent layer and {EMBEDDING!r} in streams, these are {distill.pairs}")
        if distill.logits and targets is None:
            raise ValueError("the logits of teachers have a weight, but there are no targets: teach_stream makes them")
        self.data, self.config, self.targets, self.distill = data, config, targets, distill
        self.halved, self.device = halved, device
        self.start = start.state_dict() if start else None
        holds = (data.train.labels == 1).any(1)
        share = config.keyword_share
        self.chances = torch.where(holds, share / holds.sum(), (1 - share) / (~holds).sum())
        self.layers: list[str] = []

    def attach(self, model: nn.Module) -> None:
        if self.start:
            model.load_state_dict(self.start)
        self.network: Stepwise = stepwise(model)
        train, frames = self.data.train, self.data.train.labels.shape[1]
        ends = self.network.ends(frames)
        self.heard, self.step_labels = train.heard(self.network.hears), train.labels[:, ends.long()]
        if self.targets:
            self.register_buffer("in_time", alignment(ends, self.targets.ends), persistent=False)
        # The embedding's features are scaled to mean 0 and variance 1; a head takes each layer to them.
        if self.distill.layers and train.embedded.shape[1]:
            self.layers = [mine for mine, _ in self.distill.pairs]
            some = train.embedded[::50].float()
            self.register_buffer("mean", some.mean((0, 2)), persistent=False)
            self.register_buffer("scale", some.std((0, 2)).clamp_min(1e-3), persistent=False)
            moved = alignment(ends, embedded_steps(frames).float())
            features, taught = model.config.hidden, train.embedded.shape[1]
            self.heads = nn.ModuleList(ProjectedPair(features, taught, moved) for _ in self.layers)

    def batch(self, rows: Tensor, generator: torch.Generator) -> SceneBatch:
        # Trainings before drew a view and a clean clip here; the draws stay, so that a seed means what it meant.
        torch.randint(1, (len(rows),), generator=generator)
        torch.rand(len(rows), generator=generator)
        heard = self.heard[rows].float().to(self.device)
        return SceneBatch(heard, self.step_labels[rows].to(self.device), rows)

    def loss(self, model: nn.Module, batch: SceneBatch) -> tuple[Tensor, dict[str, Tensor]]:
        with tap(model, self.layers) as outputs, torch.autocast("cpu", torch.bfloat16, enabled=self.halved):
            logits = self.network.whole(batch.heard)  # (batch, steps, classes)
        logits = logits.float()
        # From labels.
        over = batch.labels == OVER
        labels, weights = batch.labels.masked_fill(over, IGNORED), logits.new_tensor([1.0, KEYWORD_WEIGHT])
        smoothing = self.config.label_smoothing
        loss = self.distill.labels * nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), weights, ignore_index=IGNORED, label_smoothing=smoothing
        )
        # From what the teachers say.
        if self.targets:
            t = self.distill.temperature
            wanted = soften(self.in_time @ self.targets.logits[batch.rows].to(self.device).float(), t)
            # Teachers go on for half a second more; a student that does is late where the threshold is high: a miss and a false alarm.
            wanted = torch.where(over[..., None], wanted.new_tensor([1.0, 0.0]), wanted)
            loss = loss + self.distill.logits * softened_kl(logits, wanted, t).mean()
        # From the embedding.
        errors = {}
        if self.layers:
            theirs = self.data.train.embedded[batch.rows].to(self.device).float().transpose(1, 2)
            theirs = (theirs - self.mean) / self.scale  # (batch, embedding's steps, features)
            for name, head in zip(self.layers, self.heads, strict=True):
                errors[f"{name}, {EMBEDDING}"] = head(outputs[name], theirs)
            loss = loss + self.distill.layers * torch.stack(list(errors.values())).mean()
        return loss, errors

    @torch.no_grad()
    def judge(self, model: nn.Module) -> Judgement:
        """On the steps of the validation scenes that have a label."""
        network, scenes = stepwise(model), self.data.validation
        labels = scenes.labels[:, network.ends(scenes.labels.shape[1]).long()]
        parts = scenes.heard(network.hears).split(BATCH)
        logits = torch.cat([network.whole(part.float().to(self.device)).cpu() for part in parts])
        counted = labels >= 0
        p = torch.softmax(logits, 2)[..., 1][counted].double()
        if not torch.isfinite(p).all():
            return Judgement(float("nan"), float("nan"))
        loss = nn.functional.binary_cross_entropy(p, labels[counted].double())
        return Judgement(au_fa_fr(p, labels[counted]), float(loss))


def train_stream(
    data: SceneData,
    model_config: Any,
    config: TrainConfig,
    seed: int = 0,
    targets: StreamTargets | None = None,
    distill: DistillConfig = LABELS,
    runs: str | Path | None = None,
    name: str = "training",
    progress: bool = True,
    start: nn.Module | None = None,
) -> Run:
    """``kws.train.train`` for scenes: the network is to be streamed with its state carried on. It begins as ``start``, or by chance.

    Processors with AVX-512 train networks of several convolutions in bfloat16.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    halved = in_halves(model_config, device)
    learning = (targets and targets.key, distill, halved, *weights_of([start] if start else []))
    key = fingerprint(TRAIN_VERSION, VERSION, data.key, model_config, config, seed, device.type, *learning)

    def make() -> Trainer:
        objective = SceneObjective(data, config, targets, distill, halved, device, start)
        return Trainer(objective, model_config, config, seed, device)

    return drive(make, state_path(runs, name, seed, key), progress, name)


def in_halves(config: Any, device: torch.device) -> bool:
    """Whether to train in bfloat16: deep networks spend their time in convolutions, which then take two thirds of it where the processor can."""
    deep = bool(getattr(config, "deeper", ()))
    return deep and device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX512"
