"""What is chosen on validation speakers, once, when streaming models are trained: the seed of each, and its threshold."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from kws.data.audio import SAMPLE_RATE
from kws.data.jobs import in_order
from kws.data.storage import replacing
from kws.research.material import in_a_row
from kws.research.stepwise import stepwise
from kws.scenes import Scene, SceneConfig, Sounds, long_stream, make_scene
from kws.streaming.scoring import WorkingPoint, points, threshold_for

if TYPE_CHECKING:
    from kws.research.stream_study import StreamStudy
    from kws.trainer import Run

SMOOTHING = 2  # probabilities averaged before they are compared with the threshold
AT_MOST = 0.5  # false alarms an hour on validation, at the threshold that is shipped
SHOWN = (0.5, 5.0)  # false alarms an hour at which misses are told
SNR_DB = 10.0
OTHERS = SceneConfig(seconds=30.0, no_keyword=1.0, no_speech=0.0, altered_share=0.02, part_share=0.02, talk_share=0.0)
"""Scenes of words and splices without the keyword, on which false alarms are counted as well."""


@dataclass(frozen=True)
class Material:
    """How much of each sound a subset of a study had."""

    subset: str
    keywords: int
    words: int
    talk_phrases: int
    talk_minutes: float
    recorded_phrases: int
    recorded_minutes: float


@dataclass(frozen=True)
class Choice:
    """What was chosen, and on what.

    Attributes:
        seeds, thresholds: by network.
        scenes: to train on at first, with the mined ones, and with the fresh ones for students.
        material: by subset.
        validation: by network and seed, the point of fewest misses at each of ``allowed`` false alarms an hour.
        note: where it was not made by this very code, how.
        allowed: false alarms an hour of what was held out.
        given: which of voices, speech and embedding there were, with checksums; None where that is not known.
    """

    seeds: dict[str, int]
    thresholds: dict[str, float]
    scenes: list[int]
    material: list[Material]
    validation: dict[str, list[WorkingPoint]]
    note: str = ""
    given: list[str] | None = None
    allowed: tuple[float, ...] = SHOWN


def choose(study: "StreamStudy", runs: "dict[tuple[str, int], Run]", counts: list[int]) -> Choice:
    """Of each student's seeds the one of fewest misses at ``AT_MOST`` false alarms an hour, and that threshold."""
    held_out = study.held_out()
    listeners = {key: stepwise(run.model).listener(study.embedding) for key, run in runs.items()}

    def hear(key: tuple[str, int]) -> list[WorkingPoint]:
        found = points(listeners[key], held_out, SMOOTHING)
        return [threshold_for(found, allowed) for allowed in study.alarms_allowed]

    heard = dict(zip(listeners, in_order(hear, list(listeners), "hearing validation", "model"), strict=True))
    seeds, thresholds = {}, {}
    for name in study.students:
        best = min((seed for n, seed in heard if n == name), key=lambda seed: heard[name, seed][0].misses)
        seeds[name], thresholds[name] = best, heard[name, best][0].threshold
    subsets = [material_of(subset, study.sounds(subset)) for subset in ("train", "validation", "test")]
    validation = {f"{name}, seed {seed}": found for (name, seed), found in heard.items()}
    return Choice(seeds, thresholds, counts, subsets, validation, given=study.given, allowed=study.alarms_allowed)


def validation_scenes(study: "StreamStudy") -> list[Scene]:
    """Keywords of validation speakers among other words at 10 dB SNR, more of their words and splices, and recorded speech."""
    sounds, rng = study.sounds("validation"), np.random.default_rng(5)
    others = torch.cat([make_scene(sounds, OTHERS, rng).waveform for _ in range(study.effort.other_scenes)])
    scenes = [long_stream(replace(sounds, talk=[]), SNR_DB, seed=1), Scene(others, [])]
    return scenes + ([in_a_row(sounds.recorded)] if sounds.recorded else [])


def material_of(subset: str, sounds: Sounds) -> Material:
    """How much there is of each sound."""

    def minutes(phrases: Sequence[torch.Tensor]) -> float:
        return sum(map(len, phrases)) / SAMPLE_RATE / 60

    talk, recorded = sounds.talk, sounds.recorded
    counts = (len(sounds.keywords), len(sounds.words), len(talk), minutes(talk), len(recorded), minutes(recorded))
    return Material(subset, *counts)


def write_choice(path: Path, choice: Choice) -> None:
    """Write it whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(asdict(choice), indent=1) + "\n")


def read_choice(path: Path) -> Choice | None:
    """A choice made before; None if there is none that can be read."""
    try:
        content = json.loads(path.read_text())
        content["material"] = [Material(**row) for row in content["material"]]
        content["validation"] = {
            name: [WorkingPoint(**point) for point in found] for name, found in content["validation"].items()
        }
        content["allowed"] = tuple(content.get("allowed", SHOWN))
        return Choice(**content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
