"""Very many scenes as networks take them: log-mels, a label for every frame, and what an embedding hears.

Each batch follows from the seed and its number alone, so the bytes are the same whatever the number of processes.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kws.data.audio import SAMPLE_RATE
from kws.data.jobs import in_order
from kws.features import HOP, LogMel, frames_in
from kws.scenes.config import SceneConfig
from kws.scenes.scene import make_scene
from kws.scenes.sounds import Sounds

IGNORED = -100  # label of a step that may say either
OVER = -101  # label of a step after a keyword: it may still say it, but need not be taught to
FRAMES_A_SECOND = SAMPLE_RATE // HOP
KEYWORD_SECONDS = (0.1, 0.45)  # after a word's end, between which a step is of the keyword: its last sound is heard
OVER_AFTER, SILENT_AFTER = 0.55, 1.1  # seconds after a word's end from which on it should be over, and must be
BATCH = 64  # scenes made at a time; part of what the seed means


def frame_labels(keywords: list[tuple[float, float]], frames: int) -> Tensor:
    """Labels (frames,) int64 of keywords (start, end) in seconds: 1 keyword, 0 not, ``IGNORED`` or ``OVER``.

    A frame is of the keyword for a moment after its end. Around that, from the word's start on, it is ignored.
    """
    labels = torch.zeros(frames, dtype=torch.int64)

    def mark(label: int, begin: float, until: float) -> None:
        labels[round(begin * FRAMES_A_SECOND) : round(until * FRAMES_A_SECOND)] = label

    for _, end in keywords:
        mark(OVER, end, end + SILENT_AFTER)
    for start, end in keywords:
        mark(IGNORED, start, end + OVER_AFTER)
    for _, end in keywords:
        mark(1, end + KEYWORD_SECONDS[0], end + KEYWORD_SECONDS[1])
    return labels


class Batch(NamedTuple):
    """Scenes as networks take them.

    Attributes:
        log_mel: (scenes, 40, frames) float16.
        labels: (scenes, frames) int64, of ``frame_labels``.
        embedded: (scenes, width, steps) float16; without an embedding (scenes, 0, 0).
    """

    log_mel: Tensor
    labels: Tensor
    embedded: Tensor


Embedding = Callable[[Tensor], Tensor]  # waveforms (scenes, samples) to (scenes, width, steps)
Then = Callable[[Batch], tuple[Tensor, ...]]


def batches_of(
    sounds: Sounds,
    count: int,
    config: SceneConfig,
    seed: Sequence[int],
    embedding: Embedding | None = None,
    then: Then = tuple,
    title: str = "scenes",
) -> Iterator[tuple[Tensor, ...]]:
    """So many scenes, 64 at a time in order: of each batch what ``then`` makes of it, which runs in the workers."""
    sizes = [min(BATCH, count - first) for first in range(0, count, BATCH)]

    @torch.no_grad()
    def make(job: tuple[int, int]) -> list[np.ndarray]:
        number, size = job
        rng = np.random.default_rng([*seed, number])
        scenes = [make_scene(sounds, config, rng) for _ in range(size)]
        waveforms = torch.stack([scene.waveform for scene in scenes])  # (size, samples)
        frames = frames_in(waveforms.shape[1])
        batch = Batch(
            LogMel()(waveforms).half(),
            torch.stack([frame_labels(scene.keywords, frames) for scene in scenes]),
            embedding(waveforms).half() if embedding else torch.empty(size, 0, 0).half(),
        )
        # Arrays, not tensors: those would take descriptors or shared memory, of which containers have little.
        return [tensor.numpy() for tensor in then(batch)]

    for made in in_order(make, list(enumerate(sizes)), title, "scene", size=lambda job: job[1]):
        yield tuple(torch.from_numpy(array) for array in made)
