"""The streaming models by name: what they are trained on, how, and where they go."""

import hashlib
import math
from dataclasses import replace
from pathlib import Path

from kws.checkpoint import save_model
from kws.compress import fold_batch_norm
from kws.data.corpus import load_noises
from kws.data.storage import cached, fingerprint
from kws.distill import DistillConfig
from kws.evaluate import provenance
from kws.model import CRNNConfig
from kws.research.ladder import BEYOND, TEACHER, Rung, seed_path
from kws.research.mining import add_hardest
from kws.research.settings import Settings
from kws.research.speech_embedding import SpeechEmbedding, load_speech_embedding
from kws.research.stream_teacher import StreamTeacherConfig
from kws.research.stream_training import (
    EMBEDDING,
    LABELS,
    SceneData,
    StreamLessons,
    add_scenes,
    stream_data,
    train_stream,
)
from kws.scenes import Sounds, halves, recorded_phrases, sounds_of
from kws.split import Split
from kws.train import Run, TrainConfig
from kws.views import ClipData
from kws.voices.find import files_of, find_voices, open_voice
from kws.voices.talk import VERSION as TALK_VERSION
from kws.voices.talk import Talk, synthetic_talk

PULL = {"layers": 0.1, "pairs": (("recurrent.0", EMBEDDING),)}
FROM_TEACHER = DistillConfig(labels=0.1, logits=0.9, temperature=1.0)
# Three convolutions over time instead of one, and room for what the embedding tells it.
STREAMING_BASE = CRNNConfig(
    channels=64,
    kernel=(40, 5),
    stride=(1, 2),
    deeper=((96, (1, 3), (1, 2)), (128, (1, 5), (1, 2))),
    norm=True,
    relu=True,
    hidden=96,
    attention="linear",
)
# "Beyond" leaves out what is above 4 kHz; here, at the same cost, four bands are pooled instead of three and all are heard.
STREAMING_SMALL = replace(BEYOND, pool=(4, 4))
SCOUT = Rung("scout", replace(TEACHER["teacher"].config, hidden=64), epochs=0.12, learning_rate=5e-3, weight_decay=0.02)
EMBEDDING_SCOUT = Rung("embedding scout", StreamTeacherConfig(), epochs=0.12, learning_rate=3e-3, weight_decay=0.02)
RUNGS = {
    "scout": SCOUT,
    "embedding scout": EMBEDDING_SCOUT,
    "streaming_teacher": Rung(
        "teacher", STREAMING_BASE, DistillConfig(**PULL), epochs=0.12, learning_rate=4e-3, weight_decay=0.02
    ),
    "embedding_teacher": replace(EMBEDDING_SCOUT, title="embedding teacher", epochs=0.2),
    "streaming_base": Rung(
        "base", STREAMING_BASE, replace(FROM_TEACHER, **PULL), epochs=0.1, learning_rate=4e-3, weight_decay=0.02
    ),
    "streaming_small": Rung("small", STREAMING_SMALL, FROM_TEACHER, 0.6, learning_rate=1.5e-2, weight_decay=0.02),
}
BATCH, SMALLEST_BATCH, STEPS_AN_EPOCH = 256, 32, 90
"""Scenes a step of training: 256, or fewer so that an epoch has 90 steps; learning rates are for 256 and fall with the root of the batch."""
PART_MINUTES = 20  # of talk, which is made and kept in parts
MINING = ((3.0, 0.75), (1.5, 0.375))
"""Candidates of each round of mining, and how many of them are kept, times the scenes trained on at first."""
MORE = 1.0
"""Scenes that students alone hear, times those trained on at first."""


def gather(clips: ClipData, keyword: str, split: Split, settings: Settings) -> dict[str, Sounds]:
    """The sounds of each subset, by speakers, and of talk by different voices; of each noise the second half is for test only, and of the
    first half the last quarter for validation only.

    Neural voices talk for training only: a model must not be chosen or judged on a voice that it has learned from.
    """
    heard, unheard = halves(load_noises(clips.corpus))
    noises = {
        "train": [noise[: 3 * len(noise) // 4] for noise in heard],
        "validation": [noise[3 * len(noise) // 4 :] for noise in heard],
        "test": unheard,
    }
    minutes = settings.scenes / 150
    voices = find_voices(settings.voices) if settings.voices else []
    talk = {"train": _talk(keyword, minutes, round(6 * minutes), voices, settings.cache)}
    for seed, subset in ((1, "validation"), (2, "test")):
        said = _kept(Path(settings.cache) / f"talk-{keyword}-{subset}.pt", (keyword, minutes / 6, 0, seed, 100))
        talk[subset] = Talk(said["phrases"], said["keywords"])
    recorded = recorded_phrases(settings.speech, settings.cache) if settings.speech else {}
    return {
        subset: sounds_of(
            clips,
            keyword,
            split[subset],
            noises[subset],
            talk[subset],
            recorded.get(subset, []),
        )
        for subset in ("train", "validation", "test")
    }


def _talk(keyword: str, minutes: float, keywords: int, voices: list[Path], cache: str) -> Talk:
    """Talk to train on: half of it by the neural voices, as much by each, if there are some."""
    sources = {None: 0.5 if voices else 1.0} | {path: 0.5 / len(voices) for path in voices}
    said = []
    for i, (path, share) in enumerate(sources.items()):
        parts = math.ceil(share * minutes / PART_MINUTES)
        for part in range(parts):
            said_alone = max(1, round(share * keywords / parts))
            wanted = (keyword, share * minutes / parts, said_alone, 1000 * i + 10 * part, 400)
            said.append(_kept(Path(cache) / f"talk-{keyword}-{i}-{part}.pt", wanted, path))
    return Talk(*([sound for talk in said for sound in talk[kind]] for kind in ("phrases", "keywords")))


def _kept(file: Path, wanted: tuple, path: Path | None = None) -> dict:
    """``synthetic_talk`` of keyword, minutes, keywords, seed and speakers by a voice, as a dict. It takes long, so it is kept."""
    files = [hashlib.sha256(part.read_bytes()).hexdigest() for part in (files_of(path) if path else [])]

    def make() -> dict:
        talk = synthetic_talk(*wanted, open_voice(path) if path else None)
        return {"phrases": talk.phrases, "keywords": talk.keywords}

    return cached(file, fingerprint(TALK_VERSION, *wanted, files), make)


def open_embedding(settings: Settings) -> SpeechEmbedding | None:
    """The pretrained embedding that teachers hear through, if the settings name one."""
    return load_speech_embedding(settings.embedding) if settings.embedding else None


def scenes(clips: ClipData, keyword: str, split: Split, sounds: dict[str, Sounds], settings: Settings) -> SceneData:
    """The scenes to train on."""
    return stream_data(
        clips,
        keyword,
        split,
        sounds,
        settings.scenes,
        max(64, settings.scenes // 20),
        cache=settings.cache,
        embedding=open_embedding(settings),
    )


def mine(data: SceneData, sounds: dict[str, Sounds], settings: Settings) -> tuple[SceneData, dict[str, Run]]:
    """The scenes and, of many more without the keyword, the hardest; and the scouts that looked for them, by name and round.

    First small networks look that were trained on the scenes alone, then a teacher of each kind, trained on what was found too. With an
    embedding two look in each round: the one finds what networks that hear log-mels mistake for the keyword, the other what even
    the embedding does.
    """
    rounds = ["scout"] + (["embedding scout"] if settings.embedding else []), teachers(settings)
    embedding, scouts = open_embedding(settings), {}
    for number, (names, shares) in enumerate(zip(rounds, MINING, strict=True)):
        candidates, keep = (max(1, round(settings.scenes * share)) for share in (shares[0], shares[1] / len(names)))
        found = {name: _train(RUNGS[name], name, data, settings, 0, None) for name in names}
        models = [run.model for run in found.values()]
        data = add_hardest(
            data, models, sounds["train"], candidates, keep, seed=number, cache=settings.cache, embedding=embedding
        )
        scouts |= {f"{name}, round {number + 1}": run for name, run in found.items()}
    return data, scouts


def more(data: SceneData, sounds: dict[str, Sounds], settings: Settings) -> SceneData:
    """The scenes with new ones, for students to learn from teachers that were trained without these."""
    count = max(1, round(settings.scenes * MORE))
    return add_scenes(data, sounds["train"], count, cache=settings.cache, embedding=open_embedding(settings))


def teachers(settings: Settings) -> list[str]:
    """The names of the teachers: one that hears log-mels, and with an embedding one that hears through it."""
    return ["streaming_teacher"] + (["embedding_teacher"] if settings.embedding else [])


def fit(
    name: str,
    data: SceneData,
    settings: Settings,
    results: str,
    lessons: StreamLessons | None = None,
    seeds: int | None = None,
) -> list[Run]:
    """Train the seeds of a network and save each, batch norm folded in; finished runs are taken from the cache.

    Raises ``ValueError`` for a network that learns from a teacher and is given no lessons, or the other way round.
    """
    rung, runs = RUNGS[name], []
    taught = rung.learns is not None and rung.learns.logits > 0
    if taught != (lessons is not None):
        raise ValueError(
            f"{name} learns from {'a teacher: give its lessons' if taught else 'labels, not from lessons'}"
        )
    for seed in range(settings.seeds if seeds is None else seeds):
        run = _train(rung, name, data, settings, seed, lessons)
        runs.append(run)
        about = provenance(data, seed, {"validation loss": run.validation_loss})
        save_model(seed_path(results, name, data.split.kind, seed), fold_batch_norm(run.model), about)
    return runs


def _train(rung: Rung, name: str, data: SceneData, settings: Settings, seed: int, lessons: StreamLessons | None) -> Run:
    # Of few scenes, batches of 256 would be so few steps that a network hardly learns.
    batch = min(BATCH, max(SMALLEST_BATCH, len(data.split.train) // STEPS_AN_EPOCH))
    config = TrainConfig(
        epochs=max(1, round(settings.epochs * rung.epochs)),
        batch=batch,
        learning_rate=rung.learning_rate * math.sqrt(batch / BATCH),
        weight_decay=rung.weight_decay,
        keep="last",
        clean_share=0.0,
        label_smoothing=0.0,
    )
    runs = Path(settings.cache) / "runs"
    return train_stream(data, rung.config, config, seed, lessons, rung.learns or LABELS, runs=runs, name=name)
