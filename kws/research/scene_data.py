"""Scenes to train streaming networks on, and more of them: fresh ones, and those joined by mining."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kws.data.corpus import Corpus
from kws.data.storage import digest, fingerprint, raw_weights
from kws.data.torch_files import cache_file, cached
from kws.research.speech_embedding import SpeechEmbedding
from kws.scenes import SceneConfig, Sounds, batches_of
from kws.split import Split

VERSION = 8  # of scenes, talk, labels and loss: raise it when one changes, or finished runs would be taken for new ones


class Scenes(NamedTuple):
    """Scenes as networks take them.

    Attributes:
        log_mel: (scenes, 40, frames) float16.
        labels: (scenes, frames) int64, of ``kws.scenes.frame_labels``.
        embedded: (scenes, 96, steps) float16, what a pretrained embedding hears; (scenes, 0, 0) without one.
    """

    log_mel: Tensor
    labels: Tensor
    embedded: Tensor

    def heard(self, by: str) -> Tensor:
        """What a network hears of them (``Stepwise.hears``). Raises ``ValueError`` if that is an embedding and nothing was embedded."""
        heard = getattr(self, by)
        if not heard.shape[1]:
            raise ValueError("these scenes were made without an embedding, which this network listens to")
        return heard

    def joined_by(self, other: "Scenes") -> "Scenes":
        """These scenes, then others."""
        return Scenes(*(torch.cat(pair) for pair in zip(self, other, strict=True)))


@dataclass(frozen=True)
class SceneData:
    """Scenes of one keyword, of the speakers of one split of its clips. ``key`` names all of it: same key, same data."""

    corpus: Corpus
    keyword: str
    split: Split
    train: Scenes
    validation: Scenes
    key: str

    def joined_by(self, scenes: Scenes, key: str) -> "SceneData":
        """With more scenes to train on, which ``key`` names."""
        return replace(self, train=self.train.joined_by(scenes), key=key)


@dataclass(frozen=True)
class Maker:
    """How scenes are made: of which sounds, how they differ, what is embedded, and the folder where they are kept."""

    sounds: dict[str, Sounds]
    config: SceneConfig = field(default_factory=SceneConfig)
    embedding: SpeechEmbedding | None = None
    cache: str | Path | None = None

    @property
    def weights(self) -> list[bytes]:
        """Of the embedding, for a fingerprint."""
        return weights_of([self.embedding] if self.embedding else [])

    def file(self, corpus: Corpus, what: str) -> Path | None:
        """Where they are kept."""
        return cache_file(self.cache, corpus.name, what)

    def make(self, subset: str, count: int, seed: Sequence[int], title: str) -> Scenes:
        """So many scenes of a subset's sounds."""
        batches = batches_of(self.sounds[subset], count, self.config, seed, self.embedding, title=title)
        return Scenes(*(torch.cat(tensors) for tensors in zip(*batches, strict=True)))


def scene_data(
    corpus: Corpus, keyword: str, split: Split, maker: Maker, scenes: int, validation_scenes: int, seed: int = 0
) -> SceneData:
    """Scenes for training and validation, kept in the maker's cache."""

    def make() -> dict:
        validation = maker.make("validation", validation_scenes, (seed, 0), "scenes for validation")
        return {"validation": list(validation), "train": list(maker.make("train", scenes, (seed, 1), "scenes"))}

    heard = map(sounds_digest, maker.sounds.values())
    counts = (scenes, validation_scenes)
    key = fingerprint(VERSION, keyword, split.fingerprint, *counts, maker.config, seed, *heard, maker.weights)
    value = cached(maker.file(corpus, f"scenes-{keyword}-{seed}"), key, make)
    return SceneData(corpus, keyword, split, Scenes(*value["train"]), Scenes(*value["validation"]), key)


def add_scenes(data: SceneData, maker: Maker, scenes: int, seed: int = 0) -> SceneData:
    """With so many more training scenes, made as they were.

    They are for students: of scenes that they were not trained on, teachers do not know the labels by heart.
    """
    key = fingerprint(VERSION, scenes, maker.config, seed, sounds_digest(maker.sounds["train"]), maker.weights)

    def make() -> dict:
        return {"scenes": list(maker.make("train", scenes, (seed, 3), "more scenes"))}

    value = cached(maker.file(data.corpus, f"more-{data.keyword}-{seed}"), key, make)
    return data.joined_by(Scenes(*value["scenes"]), fingerprint(data.key, key))


def weights_of(models: Sequence[nn.Module]) -> list[bytes]:
    """The bytes of all tensors of some networks, for a fingerprint."""
    return [part for model in models for part in raw_weights(model)]


def sounds_digest(sounds: Sounds) -> str:
    """A fingerprint of all sound that scenes are made of."""
    words = [*sounds.keywords, *sounds.words]
    recordings = [word.waveform for word in words] + [*sounds.talk, *sounds.noises, *sounds.recorded]
    return fingerprint([(word.start, word.end) for word in words], digest(recordings))
