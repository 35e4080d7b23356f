"""Training for streams: scenes instead of clips, a label for every step, and a recurrent state that never starts again.

A model trained on isolated clips has never had to forget: its state starts at zero with every word. Here it runs through scenes
of several seconds, and each step has its own label: keyword for a moment after the word's end, neither while the word is being said
and for a while after that, and nothing else otherwise.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from kws.audio import SAMPLE_RATE
from kws.cache import cached, fingerprint, raw_weights
from kws.data import ClipData, TrainingData, digest
from kws.distill import DistillConfig, alignment
from kws.features import HOP, LogMel, frames_in
from kws.metrics import au_fa_fr
from kws.model import CRNN, CRNNConfig
from kws.scenes import SceneConfig, Sounds, make_scene
from kws.split import Split
from kws.streaming import StreamingCRNN
from kws.train import VERSION as TRAIN_VERSION
from kws.train import Run, TrainConfig, Trainer, TrainingError, drive

VERSION = 5  # of scenes, talk, labels and loss: raise it when one changes, or finished runs would be taken for new ones
IGNORED = -100
FRAMES_A_SECOND = SAMPLE_RATE // HOP
# After a word's end, between which a step is of the keyword: its last sound is heard, and what follows.
KEYWORD_SECONDS = (0.1, 0.45)
SILENT_AFTER = 1.1  # seconds after a word's end from which on it must be over
KEYWORD_WEIGHT = 2.0  # of such a step in the loss; there are some twenty others for each
BATCH = 64


def frame_labels(keywords: list[tuple[float, float]], frames: int) -> Tensor:
    """(frames,) int64: 1 from 0.1 s to 0.45 s after a keyword's end, ``IGNORED`` around that (from its start until 1.1 s after its end), else 0."""
    labels = torch.zeros(frames, dtype=torch.int64)

    def mark(label: int, begin: float, until: float) -> None:
        labels[round(begin * FRAMES_A_SECOND) : round(until * FRAMES_A_SECOND)] = label

    for start, end in keywords:
        mark(IGNORED, start, end + SILENT_AFTER)
    for _, end in keywords:
        mark(1, end + KEYWORD_SECONDS[0], end + KEYWORD_SECONDS[1])
    return labels


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
) -> TrainingData:
    """Scenes for training and validation, of ``sounds["train"]`` and ``sounds["validation"]``.

    As ``TrainingData`` with one view: labels (scenes, frames), views (1, training scenes, 40, frames), log_mel (validation scenes, 40, frames);
    ``split`` numbers the scenes, those of validation first, and keeps the fingerprint of the clips' split.
    """

    def make() -> dict:
        parts = {}
        for subset, count in (("validation", validation_scenes), ("train", scenes)):
            rng = np.random.default_rng([seed, subset == "train"])
            batches = []
            with tqdm(total=count, desc=f"scenes for {subset}", unit="scene") as bar:
                for batch in log_mels_of(sounds[subset], count, config, rng):
                    batches.append(batch)
                    bar.update(len(batch[0]))
            parts[subset] = [torch.cat(tensors) for tensors in zip(*batches, strict=True)]
        return {
            "labels": torch.cat([parts["validation"][1], parts["train"][1]]),
            "validation": parts["validation"][0],
            "train": parts["train"][0],
        }

    key = fingerprint(
        VERSION, keyword, split.fingerprint, scenes, validation_scenes, config, seed, *map(_digest, sounds.values())
    )
    file = None if cache is None else Path(cache) / f"{clips.corpus.name}-scenes-{keyword}-{seed}.pt"
    value = cached(file, key, make)
    numbers = np.arange(validation_scenes + scenes)
    of_scenes = replace(
        split, train=numbers[validation_scenes:], validation=numbers[:validation_scenes], test=numbers[:0]
    )
    return TrainingData(
        clips.corpus, keyword, of_scenes, value["labels"], value["validation"].float(), value["train"][None], key
    )


def _digest(sounds: Sounds) -> str:
    words = [*sounds.keywords, *sounds.words]
    recordings = [word.waveform for word in words] + [*sounds.talk, *sounds.noises, *sounds.recorded]
    return fingerprint([(word.start, word.end) for word in words], digest(recordings))


def log_mels_of(
    sounds: Sounds, count: int, config: SceneConfig, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """So many scenes, some at a time: log-mels (scenes, 40, frames) float16 and labels (scenes, frames)."""
    frames = frames_in(int(config.seconds * SAMPLE_RATE))
    front_end = LogMel()
    for first in range(0, count, BATCH):
        batch = [make_scene(sounds, config, rng) for _ in range(min(BATCH, count - first))]
        log_mel = front_end(torch.stack([scene.waveform for scene in batch]))
        yield log_mel.half(), torch.stack([frame_labels(scene.keywords, frames) for scene in batch])


@dataclass(frozen=True)
class StreamLessons:
    """What teachers say at their steps: logits (training scenes, steps, classes) float16, and the frames (steps,) at which they end."""

    logits: Tensor
    ends: Tensor
    key: str


@torch.no_grad()
def teach_stream(teachers: Sequence[CRNN], data: TrainingData) -> StreamLessons:
    """The lessons of teachers that stream, all of one shape, for all training scenes: the mean of their logits.

    Raises ``ValueError`` without a teacher or for teachers whose steps differ.
    """
    networks = [StreamingCRNN(teacher) for teacher in teachers]
    if len({(network.kernel_frames, network.step_frames) for network in networks}) != 1:
        raise ValueError(f"{len(networks)} teachers, which must be one or more with the same steps")
    scenes = data.views[0].split(BATCH)
    logits = torch.cat(
        [
            torch.stack([network.whole(batch.float()) for network in networks]).mean(0).half()
            for batch in tqdm(scenes, "the teachers speak", unit="batch")
        ]
    )
    key = fingerprint(VERSION, data.key, *(weights for teacher in teachers for weights in raw_weights(teacher)))
    return StreamLessons(logits, step_frames(networks[0], data.labels.shape[1]), key)


def step_frames(network: StreamingCRNN, frames: int) -> Tensor:
    """The frame (steps,) float with which each step of so many frames ends."""
    return torch.arange(network.kernel_frames - 1, frames, network.step_frames).float()


def train_stream(
    data: TrainingData,
    model_config: CRNNConfig,
    config: TrainConfig,
    seed: int = 0,
    lessons: StreamLessons | None = None,
    distill: DistillConfig = DistillConfig(),
    runs: str | Path | None = None,
    name: str = "training",
) -> Run:
    """``kws.train.train`` for scenes: the model is to be streamed with its state carried on.

    With ``lessons``, ``distill`` weighs labels and logits; its other terms are not for streams. Raises ``ValueError`` for a
    ``config.clean_share`` other than 0: scenes have no form "as recorded".
    """
    if config.clean_share:
        raise ValueError(f"clean_share is {config.clean_share}; scenes are not recorded clips, it must be 0")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    learning = (lessons.key, distill) if lessons else ()
    key = fingerprint(TRAIN_VERSION, VERSION, data.key, model_config, config, seed, device.type, *learning)
    return drive(lambda: StreamTrainer(data, model_config, config, seed, device, lessons, distill), key, runs, name)


class StreamTrainer(Trainer):
    """A ``Trainer`` whose clips are scenes and whose labels are for each frame."""

    def __init__(
        self,
        data: TrainingData,
        model_config: CRNNConfig,
        config: TrainConfig,
        seed: int,
        device: torch.device,
        lessons: StreamLessons | None = None,
        distill: DistillConfig = DistillConfig(),
    ):
        super().__init__(data, model_config, config, seed, device)
        self.network = StreamingCRNN(self.model).to(device)
        self.judged = StreamingCRNN(self.averaged.module).to(device)
        ends = step_frames(self.network, data.labels.shape[1])
        self.step_labels = data.labels[:, ends.long()]
        self.lessons, self.distill = lessons, distill
        if lessons:
            self.in_time = alignment(ends, lessons.ends).to(device)
        self.class_weights = torch.tensor([1.0, KEYWORD_WEIGHT], device=device)

    def _loss(self, log_mel: Tensor, labels: Tensor, views: Tensor, rows: Tensor) -> Tensor:
        logits = self.network.whole(log_mel)
        labels = self.step_labels[self.train_clips[rows]].to(self.device)
        smoothing = self.config.label_smoothing
        loss = nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), self.class_weights, ignore_index=IGNORED, label_smoothing=smoothing
        )
        if self.lessons is None:
            return loss
        t = self.distill.temperature
        wanted = torch.softmax(self.in_time @ self.lessons.logits[rows].to(self.device).float() / t, 2)
        kl = nn.functional.kl_div(torch.log_softmax(logits / t, 2), wanted, reduction="none").sum(2).mean()
        return self.distill.labels * loss + self.distill.logits * t * t * kl

    @torch.no_grad()
    def _judge(self) -> tuple[float, float]:
        self.judged.eval()
        scenes = torch.from_numpy(self.data.split.validation)
        labels = self.step_labels[scenes]
        logits = torch.cat([self.judged.whole(b.float().to(self.device)).cpu() for b in self.data.log_mel.split(BATCH)])
        counted = labels != IGNORED
        p = torch.softmax(logits, 2)[..., 1][counted].double()
        if not torch.isfinite(p).all():
            raise TrainingError(f"the weights are no longer numbers in epoch {self.epoch + 1}: lower the learning rate")
        return au_fa_fr(p, labels[counted]), float(nn.functional.binary_cross_entropy(p, labels[counted].double()))
