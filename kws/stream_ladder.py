"""The streaming models by name: what they are trained on, how, and where they go."""

import hashlib
from dataclasses import replace
from pathlib import Path

from kws.cache import cached, fingerprint
from kws.checkpoint import save_model
from kws.compress import fold_batch_norm
from kws.corpora import load_noises
from kws.data import ClipData, TrainingData
from kws.distill import DistillConfig
from kws.evaluate import provenance
from kws.ladder import BASE, BEYOND, TEACHER, Rung, seed_path
from kws.mining import add_hardest
from kws.recorded import recorded_phrases
from kws.scenes import Sounds, halves, sounds_of
from kws.settings import Settings
from kws.split import Split
from kws.stream_training import StreamLessons, stream_data, train_stream
from kws.talk import VERSION as TALK_VERSION
from kws.talk import Talk, synthetic_talk
from kws.train import Run, TrainConfig
from kws.voices import files_of, find_voices, open_voice

FROM_TEACHER = DistillConfig(labels=0.1, logits=0.9, temperature=2.0)
STREAMING_BASE = replace(BASE["base"].config, norm=True, relu=True)  # batch norm is folded in: as large as the base
SCOUT = Rung("scout", replace(TEACHER["teacher"].config, hidden=64), epochs=0.12, learning_rate=5e-3, weight_decay=0.02)
RUNGS = {
    "streaming_teacher": replace(SCOUT, title="teacher"),
    "streaming_base": Rung("base", STREAMING_BASE, FROM_TEACHER, 0.3, learning_rate=8e-3, weight_decay=0.02),
    "streaming_small": Rung("small", BEYOND, FROM_TEACHER, 0.8, learning_rate=1.5e-2, weight_decay=0.02),
}
MINING = ((3.0, 0.5),)
"""Rounds of mining: candidates, and how many of them are kept, times the scenes trained on at first."""


def gather(clips: ClipData, keyword: str, split: Split, settings: Settings) -> dict[str, Sounds]:
    """The sounds of each subset, by speakers, and of talk by different voices; the second half of each noise is for test only.

    Neural voices talk for training only: a model must not be chosen or judged on a voice that it has learned from.
    """
    heard, unheard = halves(load_noises(clips.corpus))
    minutes = settings.scenes / 150
    voices = find_voices(settings.voices) if settings.voices else []
    talk = {
        "train": _talk(keyword, minutes, round(6 * minutes), voices, settings.cache),
        "validation": synthetic_talk(keyword, minutes / 6, 0, seed=1),
        "test": synthetic_talk(keyword, minutes / 6, 0, seed=2),
    }
    recorded = recorded_phrases(settings.speech, settings.cache) if settings.speech else {}
    return {
        subset: sounds_of(
            clips,
            keyword,
            split[subset],
            unheard if subset == "test" else heard,
            talk[subset],
            recorded.get(subset, []),
        )
        for subset in ("train", "validation", "test")
    }


def _talk(keyword: str, minutes: float, keywords: int, voices: list[Path], cache: str) -> Talk:
    """Talk to train on: half of it by the neural voices, as much by each, if there are some. It takes long, so it is kept."""
    sources = {None: 0.5 if voices else 1.0} | {path: 0.5 / len(voices) for path in voices}
    said = []
    for path, share in sources.items():
        said_alone = max(1, round(share * keywords))
        wanted = (keyword, share * minutes, said_alone, 0, 400)  # seed and speakers
        files = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (files_of(path) if path else [])]

        def make(path=path, wanted=wanted) -> dict:
            talk = synthetic_talk(*wanted, open_voice(path) if path else None)
            return {"phrases": talk.phrases, "keywords": talk.keywords}

        file = Path(cache) / f"talk-{keyword}-{path.stem if path else 'espeak-ng'}.pt"
        said.append(cached(file, fingerprint(TALK_VERSION, *wanted, files), make))
    return Talk(*([sound for talk in said for sound in talk[kind]] for kind in ("phrases", "keywords")))


def scenes(clips: ClipData, keyword: str, split: Split, sounds: dict[str, Sounds], settings: Settings) -> TrainingData:
    """The scenes to train on."""
    return stream_data(
        clips, keyword, split, sounds, settings.scenes, max(64, settings.scenes // 20), cache=settings.cache
    )


def mine(data: TrainingData, sounds: dict[str, Sounds], settings: Settings) -> tuple[TrainingData, list[Run]]:
    """The scenes and, of many more without the keyword, the hardest; and the scouts that looked for them, one a round.

    A scout is a teacher that was trained on all scenes found so far.
    """
    scouts = []
    for i, (candidates, keep) in enumerate(MINING, 1):
        scouts.append(_train(SCOUT, f"scout {i}", data, settings, 0, None))
        counts = (max(1, round(settings.scenes * share)) for share in (candidates, keep))
        data = add_hardest(data, scouts[-1].model, sounds["train"], *counts, seed=i, cache=settings.cache)
    return data, scouts


def fit(
    name: str,
    data: TrainingData,
    settings: Settings,
    results: str,
    lessons: StreamLessons | None = None,
    seeds: int | None = None,
) -> list[Run]:
    """Train the seeds of a network and save each, batch norm folded in; finished runs are taken from the cache.

    Raises ``ValueError`` for a network that learns from a teacher and is given no lessons, or the other way round.
    """
    rung, runs = RUNGS[name], []
    if (rung.learns is None) != (lessons is None):
        raise ValueError(
            f"{name} learns from {'labels alone' if rung.learns is None else 'a teacher: give its lessons'}"
        )
    for seed in range(settings.seeds if seeds is None else seeds):
        run = _train(rung, name, data, settings, seed, lessons)
        runs.append(run)
        about = provenance(data, seed, {"validation loss": run.validation_loss})
        save_model(seed_path(results, name, data.split.kind, seed), fold_batch_norm(run.model), about)
    return runs


def _train(
    rung: Rung, name: str, data: TrainingData, settings: Settings, seed: int, lessons: StreamLessons | None
) -> Run:
    config = TrainConfig(
        epochs=max(1, round(settings.epochs * rung.epochs)),
        learning_rate=rung.learning_rate,
        weight_decay=rung.weight_decay,
        keep="last",
        clean_share=0.0,
        label_smoothing=0.0,
    )
    taught = (lessons, rung.learns) if lessons else ()
    return train_stream(data, rung.config, config, seed, *taught, runs=Path(settings.cache) / "runs", name=name)
