"""Training for streams: scenes instead of clips, a label for every step, and a recurrent state that never starts again.

A model trained on isolated clips has never had to forget: its state starts at zero with every word. Here it runs through scenes
of several seconds, and each step has its own label: keyword for a moment after the word's end, neither while the word is being said
and for a while after that, and nothing else otherwise.

A layer can be pulled towards a pretrained embedding as well (``DistillConfig.layers``): it is led to tell all words apart, not only
the keyword from those that the scenes hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from kws.architectures import Config
from kws.data.storage import cached, fingerprint, raw_weights
from kws.distill import DistillConfig, alignment, tap
from kws.metrics import au_fa_fr
from kws.research.speech_embedding import SpeechEmbedding, embedded_steps
from kws.research.stream_teacher import StreamTeacher, StreamTeacherConfig
from kws.scenes import SceneConfig, Sounds
from kws.scenes.batches import BATCH, IGNORED, OVER, batches_of
from kws.split import Split
from kws.streaming import StreamingCRNN
from kws.train import VERSION as TRAIN_VERSION
from kws.train import Run, TrainConfig, Trainer, TrainingError, drive
from kws.views import ClipData, TrainingData, digest

VERSION = 7  # of scenes, talk, labels and loss: raise it when one changes, or finished runs would be taken for new ones
EMBEDDING = "embedding"  # what layers are paired with
LABELS = DistillConfig()  # they alone
KEYWORD_WEIGHT = 2.0  # of a step of the keyword in the loss; there are some twenty others for each


@dataclass(frozen=True)
class SceneData(TrainingData):
    """Scenes: ``TrainingData`` with one view, labels (scenes, frames), views (1, training scenes, 40, frames), log_mel (validation scenes, 40, frames).

    ``split`` numbers the scenes, those of validation first, and keeps the fingerprint of the clips' split. ``embedded`` (scenes, 96, steps)
    float16 is what a pretrained embedding hears of them, (scenes, 0, 0) without one.
    """

    embedded: Tensor

    def heard_by(self, model: nn.Module | Config) -> TrainingData:
        """These scenes as a network takes them: a ``StreamTeacher`` takes embeddings, with labels where its steps end, others log-mels.

        Raises ``ValueError`` for a teacher if nothing was embedded.
        """
        if not isinstance(model, (StreamTeacher, StreamTeacherConfig)):
            return self
        if not self.embedded.shape[1]:
            raise ValueError("these scenes were made without an embedding, which this network listens to")
        ends = embedded_steps(self.labels.shape[1])
        train, validation = (torch.from_numpy(self.split[subset]) for subset in ("train", "validation"))
        return TrainingData(
            self.corpus,
            self.keyword,
            self.split,
            self.labels[:, ends],
            self.embedded[validation].float(),
            self.embedded[train][None],
            fingerprint(self.key, "embedded"),
        )

    def joined_by(self, log_mel: Tensor, labels: Tensor, embedded: Tensor, key: str) -> "SceneData":
        """With more training scenes: their log-mels (scenes, 40, frames), labels (scenes, frames) and what is embedded of them. ``key`` names them."""
        numbers = np.arange(len(self.labels), len(self.labels) + len(labels))
        return replace(
            self,
            labels=torch.cat([self.labels, labels]),
            views=torch.cat([self.views[0], log_mel])[None],
            embedded=torch.cat([self.embedded, embedded]),
            split=replace(self.split, train=np.concatenate([self.split.train, numbers])),
            key=key,
        )


def stream_data(
    clips: ClipData,
    keyword: str,
    split: Split,
    sounds: dict[str, Sounds],
    scenes: int = 12_000,
    validation_scenes: int = 600,
    config: SceneConfig = SceneConfig(),
    seed: int = 0,
    cache: str | Path | None = None,
    embedding: SpeechEmbedding | None = None,
) -> SceneData:
    """Scenes for training and validation, of ``sounds["train"]`` and ``sounds["validation"]``."""

    def make() -> dict:
        parts = {}
        for i, (subset, count) in enumerate((("validation", validation_scenes), ("train", scenes))):
            batches = batches_of(sounds[subset], count, config, (seed, i), embedding, title=f"scenes for {subset}")
            parts[subset] = [torch.cat(tensors) for tensors in zip(*batches, strict=True)]
        (validation, *before), (train, *after) = parts["validation"], parts["train"]
        labels, embedded = (torch.cat(pair) for pair in zip(before, after, strict=True))
        return {"labels": labels, "embedded": embedded, "validation": validation, "train": train}

    heard = map(_digest, sounds.values())
    key = fingerprint(
        VERSION, keyword, split.fingerprint, scenes, validation_scenes, config, seed, *heard, _weights(embedding)
    )
    file = None if cache is None else Path(cache) / f"{clips.corpus.name}-scenes-{keyword}-{seed}.pt"
    value = cached(file, key, make)
    numbers = np.arange(validation_scenes + scenes)
    of_scenes = replace(
        split, train=numbers[validation_scenes:], validation=numbers[:validation_scenes], test=numbers[:0]
    )
    return SceneData(
        clips.corpus,
        keyword,
        of_scenes,
        value["labels"],
        value["validation"].float(),
        value["train"][None],
        key,
        value["embedded"],
    )


def add_scenes(
    data: SceneData,
    sounds: Sounds,
    scenes: int,
    config: SceneConfig = SceneConfig(),
    seed: int = 0,
    cache: str | Path | None = None,
    embedding: SpeechEmbedding | None = None,
) -> SceneData:
    """Training scenes with so many more, made as they were. ``sounds`` and ``embedding`` are those that ``data`` was made with for training.

    They are for students: of scenes that they were not trained on, teachers do not know the labels by heart.
    """
    key = fingerprint(VERSION, scenes, config, seed, _digest(sounds), _weights(embedding))
    file = None if cache is None else Path(cache) / f"{data.corpus.name}-more-{data.keyword}-{seed}.pt"

    def make() -> dict:
        batches = batches_of(sounds, scenes, config, (seed, 3), embedding, title="more scenes")
        parts = (torch.cat(tensors) for tensors in zip(*batches, strict=True))
        return dict(zip(("log_mel", "labels", "embedded"), parts, strict=True))

    return data.joined_by(**cached(file, key, make), key=fingerprint(data.key, key))


def _weights(model: nn.Module | None) -> list[bytes]:
    return raw_weights(model) if model else []


def _digest(sounds: Sounds) -> str:
    words = [*sounds.keywords, *sounds.words]
    recordings = [word.waveform for word in words] + [*sounds.talk, *sounds.noises, *sounds.recorded]
    return fingerprint([(word.start, word.end) for word in words], digest(recordings))


@dataclass(frozen=True)
class StreamLessons:
    """What teachers say at their steps: logits (training scenes, steps, classes) float16, and the frames (steps,) at which they end."""

    logits: Tensor
    ends: Tensor
    key: str


@torch.no_grad()
def teach_stream(teachers: Sequence[nn.Module], data: SceneData) -> StreamLessons:
    """The lessons of teachers that stream, for all training scenes: the mean of their logits.

    Teachers that hear log-mels and ``StreamTeacher`` weigh the same together, however many there are of either: they differ more in what
    they mistake for the keyword. Raises ``ValueError`` without a teacher, or for teachers of log-mels whose steps differ.
    """
    kinds = [[t for t in teachers if isinstance(t, StreamTeacher) == embedded] for embedded in (False, True)]
    said = [_say(kind, data) for kind in kinds if kind]
    if not said:
        raise ValueError("no teachers: there must be one or more")
    ends = said[0][1]
    logits = torch.stack([alignment(ends, its) @ logits for logits, its in said]).mean(0)
    weights = [part for kind in kinds for teacher in kind for part in raw_weights(teacher)]
    return StreamLessons(logits.half(), ends, fingerprint(VERSION, data.key, weights))


def _say(teachers: Sequence[nn.Module], data: SceneData) -> tuple[Tensor, Tensor]:
    """The mean of the logits (training scenes, steps, classes) of teachers of one kind, and the frames (steps,) at which the steps end."""
    networks = [over_scenes(teacher) for teacher in teachers]
    if len({(network.kernel_frames, network.step_frames) for network in networks}) != 1:
        raise ValueError(f"{len(networks)} teachers of log-mels that do not have the same steps")
    logits = torch.cat(
        [
            torch.stack([network.whole(batch.float()) for network in networks]).mean(0)
            for batch in tqdm(data.heard_by(teachers[0]).views[0].split(BATCH), "the teachers speak", unit="batch")
        ]
    )
    frames = data.labels.shape[1]
    embedded = isinstance(teachers[0], StreamTeacher)
    return logits, embedded_steps(frames).float() if embedded else step_frames(networks[0], frames)


def over_scenes(model: nn.Module) -> StreamingCRNN | StreamTeacher:
    """The form of a model that has logits for every step of a scene (``whole``), in eval mode; a ``StreamTeacher`` is one already."""
    return model.eval() if isinstance(model, StreamTeacher) else StreamingCRNN(model)


def step_frames(network: StreamingCRNN | StreamTeacher, frames: int) -> Tensor:
    """The frame (steps,) float with which each step of so many frames ends."""
    return torch.arange(network.kernel_frames - 1, frames, network.step_frames).float()


def train_stream(
    data: SceneData,
    model_config: Config,
    config: TrainConfig,
    seed: int = 0,
    lessons: StreamLessons | None = None,
    distill: DistillConfig = LABELS,
    runs: str | Path | None = None,
    name: str = "training",
) -> Run:
    """``kws.train.train`` for scenes: the model is to be streamed with its state carried on.

    ``distill`` weighs labels, with ``lessons`` logits, and layers: each of its ``pairs`` names a recurrent layer, to be pulled towards the
    ``data``'s embedding through a learned projection; without an embedding nothing is. Its ranking is not for streams. Raises
    ``ValueError`` for a ``config.clean_share`` other than 0 (scenes have no form "as recorded"), for pairs of other layers, and for a
    ``StreamTeacher`` that is to learn from lessons. Processors with AVX-512 train networks of several convolutions in bfloat16.
    """
    if config.clean_share:
        raise ValueError(f"clean_share is {config.clean_share}; scenes are not recorded clips, it must be 0")
    if distill.layers and any(
        not mine.startswith("recurrent.") or theirs != EMBEDDING for mine, theirs in distill.pairs
    ):
        raise ValueError(f"pairs are of a recurrent layer and {EMBEDDING!r} in streams, these are {distill.pairs}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if lessons and isinstance(model_config, StreamTeacherConfig):
        raise ValueError("a StreamTeacher learns from labels, not from lessons")
    learning = (lessons and lessons.key, distill, _halved(model_config, device))
    heard = data.heard_by(model_config)
    key = fingerprint(TRAIN_VERSION, VERSION, heard.key, model_config, config, seed, device.type, *learning)
    return drive(lambda: StreamTrainer(heard, model_config, config, seed, device, lessons, distill), key, runs, name)


class StreamTrainer(Trainer):
    """A ``Trainer`` whose clips are scenes and whose labels are for each frame."""

    def __init__(
        self,
        data: TrainingData,
        model_config: Config,
        config: TrainConfig,
        seed: int,
        device: torch.device,
        lessons: StreamLessons | None = None,
        distill: DistillConfig = LABELS,
    ):
        super().__init__(data, model_config, config, seed, device, distill=distill)
        self.network = over_scenes(self.model).to(device)
        self.judged = over_scenes(self.averaged.module).to(device)
        ends = step_frames(self.network, data.labels.shape[1])
        self.step_labels = data.labels[:, ends.long()]
        self.lessons, self.distill = lessons, distill
        if lessons:
            self.in_time = alignment(ends, lessons.ends).to(device)
        self.class_weights = torch.tensor([1.0, KEYWORD_WEIGHT], device=device)
        self.halved = _halved(model_config, device)

    def _distillation(self, lessons: None, distill: DistillConfig) -> "_TowardsEmbedding | None":
        if not distill.layers or not isinstance(self.data, SceneData) or not self.data.embedded.shape[1]:
            return None
        return _TowardsEmbedding(self.model, self.data, [mine for mine, _ in distill.pairs]).to(self.device)

    def _loss(self, log_mel: Tensor, labels: Tensor, views: Tensor, rows: Tensor) -> Tensor:
        layers = self.distillation.layers if self.distillation else ()
        with tap(self.model, layers) as outputs, torch.autocast("cpu", torch.bfloat16, enabled=self.halved):
            logits = self.network.whole(log_mel)
        logits = logits.float()
        labels = self.step_labels[self.train_clips[rows]].to(self.device)
        over = labels == OVER
        labels = labels.masked_fill(over, IGNORED)
        smoothing = self.config.label_smoothing
        loss = nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), self.class_weights, ignore_index=IGNORED, label_smoothing=smoothing
        )
        loss = self.distill.labels * loss
        if self.lessons:
            loss = loss + self.distill.logits * self._error(logits, rows, over)
        if self.distillation:
            errors = self.distillation(outputs, self.train_clips[rows])
            for layer, error in errors.items():
                self.layer_errors.setdefault(f"{layer}, {EMBEDDING}", []).append(error.detach())
            loss = loss + self.distill.layers * torch.stack(list(errors.values())).mean()
        return loss

    def _error(self, logits: Tensor, rows: Tensor, over: Tensor) -> Tensor:
        """KL divergence from what the lessons say, both softened."""
        assert self.lessons is not None
        t = self.distill.temperature
        wanted = torch.softmax(self.in_time @ self.lessons.logits[rows].to(self.device).float() / t, 2)
        # Teachers go on for half a second more; a student that does is late where the threshold is high: a miss and a false alarm.
        wanted = torch.where(over[..., None], wanted.new_tensor([1.0, 0.0]), wanted)
        return t * t * nn.functional.kl_div(torch.log_softmax(logits / t, 2), wanted, reduction="none").sum(2).mean()

    @torch.no_grad()
    def _judge(self) -> tuple[float, float]:
        self.judged.eval()
        scenes = torch.from_numpy(self.data.split.validation)
        labels = self.step_labels[scenes]
        logits = torch.cat([self.judged.whole(b.float().to(self.device)).cpu() for b in self.data.log_mel.split(BATCH)])
        counted = labels >= 0
        p = torch.softmax(logits, 2)[..., 1][counted].double()
        if not torch.isfinite(p).all():
            raise TrainingError(f"the weights are no longer numbers in epoch {self.epoch + 1}: lower the learning rate")
        return au_fa_fr(p, labels[counted]), float(nn.functional.binary_cross_entropy(p, labels[counted].double()))


def _halved(config: Config, device: torch.device) -> bool:
    """Whether to train in bfloat16: deep networks spend their time in convolutions, which then take two thirds of it where the processor can."""
    deep = bool(getattr(config, "deeper", ()))
    return deep and device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX512"


class _TowardsEmbedding(nn.Module):
    """How far recurrent layers, each through a linear projection that is learned, are from what the embedding hears: mean squared errors,
    of features scaled to mean 0 and variance 1."""

    def __init__(self, model: nn.Module, data: SceneData, layers: Sequence[str]):
        super().__init__()
        self.layers, self.embedded = layers, data.embedded
        frames = data.labels.shape[1]
        ends = step_frames(over_scenes(model), frames)
        self.register_buffer("in_time", alignment(ends, embedded_steps(frames).float()), persistent=False)
        some = data.embedded[torch.from_numpy(data.split.train)[::50]].float()
        self.register_buffer("mean", some.mean((0, 2)), persistent=False)
        self.register_buffer("scale", some.std((0, 2)).clamp_min(1e-3), persistent=False)
        width = model.config.hidden
        self.projections = nn.ModuleList(nn.Linear(width, data.embedded.shape[1]) for _ in layers)

    def forward(self, outputs: dict[str, Tensor], scenes: Tensor) -> dict[str, Tensor]:
        """The error of each layer's outputs (scenes, steps, hidden) in these scenes, by its name."""
        wanted = (self.embedded[scenes].to(self.mean.device).float().transpose(1, 2) - self.mean) / self.scale
        wanted = self.in_time @ wanted
        layers = zip(self.layers, self.projections, strict=True)
        return {name: (projection(outputs[name].float()) - wanted).square().mean() for name, projection in layers}
