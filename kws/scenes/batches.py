"""Very many scenes as networks take them: log-mels, a label for every frame, and what a pretrained embedding hears.

Each batch follows from the seed and its number alone, so several processes make them and the result is the same.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from kws.data.audio import SAMPLE_RATE
from kws.features import HOP, LogMel, frames_in
from kws.research.speech_embedding import SpeechEmbedding
from kws.scenes.scene import SceneConfig, Sounds, make_scene

IGNORED, OVER = (
    -100,
    -101,
)  # labels of steps that may say either; and of those after a keyword that may, but need not be taught to
FRAMES_A_SECOND = SAMPLE_RATE // HOP
# After a word's end, between which a step is of the keyword: its last sound is heard, and what follows.
KEYWORD_SECONDS = (0.1, 0.45)
OVER_AFTER, SILENT_AFTER = 0.55, 1.1  # seconds after a word's end from which on it should be over, and must be
BATCH = 64


def frame_labels(keywords: list[tuple[float, float]], frames: int) -> Tensor:
    """(frames,) int64: 1 from 0.1 s to 0.45 s after a keyword's end, ``IGNORED`` around that (from its start until 0.55 s after its end),
    ``OVER`` from then until 1.1 s after its end, else 0."""
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
    """log_mel (scenes, 40, frames) float16; labels (scenes, frames); embedded (scenes, 96, steps) float16, without an embedding (scenes, 0, 0)."""

    log_mel: Tensor
    labels: Tensor
    embedded: Tensor


Then = Callable[[Batch], tuple[Tensor, ...]]


class _Recipe(NamedTuple):
    sounds: Sounds
    config: SceneConfig
    seed: Sequence[int]
    embedding: SpeechEmbedding | None
    then: Then


_recipe: _Recipe | None = None  # in each process; handed over by forking, for it holds hours of sound


def batches_of(
    sounds: Sounds,
    count: int,
    config: SceneConfig,
    seed: Sequence[int],
    embedding: SpeechEmbedding | None = None,
    then: Then = tuple,
    title: str = "scenes",
) -> Iterator[tuple[Tensor, ...]]:
    """So many scenes, 64 at a time in order: of each batch what ``then`` makes of it. As many processes work as there are processors."""
    global _recipe
    recipe = _recipe = _Recipe(sounds, config, seed, embedding, then)
    sizes = [min(BATCH, count - first) for first in range(0, count, BATCH)]
    jobs = enumerate(sizes)
    workers = min(os.cpu_count() or 1, len(sizes))
    with tqdm(total=count, desc=title, unit="scene") as bar:
        if workers > 1 and "fork" in multiprocessing.get_all_start_methods():
            with ProcessPoolExecutor(workers, multiprocessing.get_context("fork"), torch.set_num_threads, (1,)) as pool:
                # Few at a time are under way: a batch waits in memory until it is taken.
                waiting = [pool.submit(_make, job) for _, job in zip(range(2 * workers), jobs, strict=False)]
                for size in sizes:
                    made = waiting.pop(0).result()
                    waiting += [pool.submit(_make, job) for _, job in zip(range(1), jobs, strict=False)]
                    bar.update(size)
                    yield tuple(torch.from_numpy(array) for array in made)
        else:
            for job in jobs:
                made = _make(job, recipe)
                bar.update(job[1])
                yield tuple(torch.from_numpy(array) for array in made)


@torch.no_grad()
def _make(job: tuple[int, int], recipe: _Recipe | None = None) -> list[np.ndarray]:
    """Arrays, not tensors: those would take descriptors or shared memory, of which containers have little."""
    recipe = recipe or _recipe
    assert recipe is not None
    number, size = job
    rng = np.random.default_rng([*recipe.seed, number])
    scenes = [make_scene(recipe.sounds, recipe.config, rng) for _ in range(size)]
    waveforms = torch.stack([scene.waveform for scene in scenes])
    frames = frames_in(waveforms.shape[1])
    batch = Batch(
        LogMel()(waveforms).half(),
        torch.stack([frame_labels(scene.keywords, frames) for scene in scenes]),
        recipe.embedding(waveforms).half() if recipe.embedding else torch.empty(size, 0, 0).half(),
    )
    return [tensor.numpy() for tensor in recipe.then(batch)]
