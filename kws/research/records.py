"""What is kept beside the weights of each training: its recipe and its learning curve.

By the recipe and the sound it is known whether weights that are there are those that a notebook asks for, so that they need not
be trained again.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kws.checkpoint import load_provenance
from kws.data.corpus import load_noises, visible_files
from kws.data.storage import digest, fingerprint, replacing
from kws.data.torch_files import CheckpointError
from kws.views import ClipData


@dataclass(frozen=True)
class Record:
    """Of one training.

    Attributes:
        recipe: fingerprint of shape, targets and schedule.
        best_epoch: the one kept, from 1; 0 where no curve is known.
        history: one dict an epoch, as of ``kws.trainer.Run``.
        note: where the curve is not of these very weights, why.
        sound: ``sound_of`` the recordings; "" where that is not known.
    """

    recipe: str
    best_epoch: int
    history: list[dict[str, float]]
    note: str = ""
    sound: str = ""


def recipe_of(*parts: Any) -> str:
    """The fingerprint of a recipe: of rung, epochs, scenes and whatever else the weights hang on beside split and seed."""
    return fingerprint(*parts)


def sound_of(clips: ClipData) -> str:
    """A checksum of all clips and noises: the same names with other sound are other recordings."""
    return digest([clips.waveforms, *load_noises(clips.corpus)])[:16]


def files_digest(path: str | Path) -> str:
    """A checksum of a file, or of all visible ones below a folder."""
    found = hashlib.sha256()
    for file in visible_files(path, "**/*") or filter(Path.is_file, [Path(path)]):
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:16]


def record_path(weights: str | Path) -> Path:
    """The file beside a checkpoint."""
    return Path(weights).with_suffix(".json")


def write_record(weights: str | Path, record: Record) -> None:
    """Write it whole or not at all, numbers to six digits."""
    rounded = [{name: float(f"{value:.6g}") for name, value in row.items()} for row in record.history]
    # Columns rather than rows: the names stand there once.
    columns = {name: [row[name] for row in rounded] for name in (rounded[0] if rounded else ())}
    with replacing(record_path(weights)) as temporary:
        temporary.write_text(json.dumps(asdict(record) | {"history": columns}) + "\n")


def read_record(weights: str | Path) -> Record | None:
    """The record beside a checkpoint; None if there is none that can be read."""
    try:
        content = json.loads(record_path(weights).read_text())
        columns = content["history"]
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return Record(
            content["recipe"], int(content["best_epoch"]), rows, content.get("note", ""), content.get("sound", "")
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def is_trained(weights: str | Path, split: str, recipe: str, sound: str = "") -> bool:
    """Whether a checkpoint is there, of this split (its fingerprint), by this recipe and of this sound, where that is known."""
    record = read_record(weights)
    if record is None or record.recipe != recipe or record.sound not in ("", sound) or not Path(weights).is_file():
        return False
    try:
        return load_provenance(weights).split == split
    except CheckpointError:
        return False
