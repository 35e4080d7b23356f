"""Checkpoints: one ``torch.save``d dict, model and provenance, written whole or not at all, read without running code."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from kws import __version__
from kws.data.storage import save_whole
from kws.data.tensors import restore, store
from kws.data.torch_files import CheckpointError, load_safely, saved
from kws.model import CRNN, ConfigError, build, config_kind

FORMAT = "kws.crnn"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from, kept in its checkpoint.

    ``metrics`` maps names to numbers, such as {"test 1-AUC": 0.001}; ``split`` is the fingerprint of ``kws.split``.
    """

    keyword: str
    corpus: str
    split: str
    split_kind: str
    split_seed: int
    seed: int
    metrics: dict[str, float]
    kws_version: str = __version__


def save_model(
    path: str | Path, model: nn.Module, provenance: Provenance, storage: str = "float32", packed: bool = False
) -> None:
    """Write a checkpoint; a kill or a full disk leaves the old file as it was.

    It is the dict ``{format, format_version, architecture, config, state_dict, provenance}``. ``storage`` (float32, float16 or int8) and
    ``packed`` say what ``state_dict`` holds: see ``kws.data.tensors``, whose ``StorageError`` it raises.
    """
    # NumPy's numbers would not load safely.
    metrics = {name: float(value) for name, value in provenance.metrics.items()}
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "architecture": type(model).__name__,
        "config": asdict(model.config),
        "state_dict": store(model.state_dict(), storage, packed),
        "provenance": asdict(provenance) | {"metrics": metrics},
    }
    # A packed state dict is one tensor: its file is written in the format that has least around it.
    save_whole(saved(content, small=packed), path)


def load_model(path: str | Path) -> CRNN:
    """The model of a checkpoint, in float32 and eval mode on the CPU, whatever dtype it is stored in.

    Loading never runs code from the file (``torch.load(weights_only=True)``). Raises ``FileNotFoundError`` or
    ``CheckpointError``.
    """
    # The config names every layer, so the tensors only have to be put into place.
    content = read_checkpoint(path)
    try:
        model = build(_config(config_kind(content["architecture"]), content["config"]))
        model.load_state_dict(restore(content["state_dict"], model.state_dict()))
    except (ConfigError, TypeError, ValueError, IndexError, AttributeError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path}: its config and its tensors do not make a model ({error})") from error
    return model.eval()


def load_provenance(path: str | Path) -> Provenance:
    """Keyword, corpus, split, seed and metrics of a checkpoint."""
    try:
        return Provenance(**read_checkpoint(path)["provenance"])
    except TypeError as error:
        raise CheckpointError(f"{path}: its provenance is incomplete ({error})") from error


def stored_tensors(path: str | Path) -> dict[str, Tensor]:
    """The state dict of a checkpoint as stored, in its own dtypes."""
    return read_checkpoint(path)["state_dict"]


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The checked content of a checkpoint file."""
    # Nothing in a file is trusted before it was looked at.
    content = load_safely(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of this package; it takes those that kws.save_model wrote")
    missing = {"format_version", "architecture", "config", "state_dict", "provenance"} - content.keys()
    if missing:
        raise CheckpointError(f"{path}: lacks {', '.join(sorted(missing))}; get the file again")
    if content["format_version"] > FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: written by a newer version of kws (format {content['format_version']}, this one reads up to {FORMAT_VERSION}): update kws"
        )
    return content


def _config(kind: type, stored: dict[str, Any]) -> Any:
    unknown = stored.keys() - {field.name for field in fields(kind)}
    if unknown:
        raise ConfigError(f"unknown config fields: {', '.join(sorted(unknown))}")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()})
