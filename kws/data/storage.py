"""Files that are whole or not there, and a cache of tensors on disk that knows what it holds."""

import hashlib
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm


class CheckpointError(ValueError):
    """A checkpoint that cannot be loaded; the message names the file, what is wrong and what to do."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; move it there, whole, when the block ends without an error.

    Whatever goes wrong inside (a full disk, a kill), the file that was at ``path`` before is untouched. The temporary
    file is removed on an error; only a kill leaves it behind.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")  # two processes do not meet
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save_whole(content: Any, path: str | Path) -> None:
    """``torch.save`` (or the bytes as they are), whole or not at all. Raises ``OSError`` naming the file, also for a full disk, which torch does not name."""
    try:
        with replacing(path) as temporary:
            if isinstance(content, bytes):
                temporary.write_bytes(content)
            else:
                torch.save(content, temporary)
    except (OSError, RuntimeError) as error:
        raise OSError(
            f"{path}: could not be written, what was there before is kept; is the disk full? ({error})"
        ) from error


def load_safely(path: str | Path, mmap: bool = False) -> Any:
    """``torch.load`` on the CPU that never runs code from the file, with errors a user can act on."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    if is_torchscript(path):
        raise CheckpointError(f"{path}: a TorchScript model; load it with torch.jit.load")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: holds Python code or objects besides tensors, which are never loaded; do not trust this file"
        ) from error
    except (RuntimeError, EOFError, OSError, zipfile.BadZipFile, KeyError) as error:
        raise CheckpointError(f"{path}: damaged, get or write it again ({error})") from error


def is_torchscript(path: str | Path) -> bool:
    """Whether a file is a TorchScript program rather than a checkpoint. Raises ``CheckpointError`` for one that is no PyTorch file."""
    if not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path}: truncated, or not a PyTorch file; get or write it again")
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except zipfile.BadZipFile as error:
        raise CheckpointError(f"{path}: damaged, get or write it again ({error})") from error


def fingerprint(*parts: Any) -> str:
    """A short name for any values with a faithful ``repr`` (numbers, strings, tuples, frozen dataclasses)."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def raw_weights(model: nn.Module) -> list[bytes]:
    """The bytes of each tensor of a model, for ``fingerprint``."""
    return [tensor.numpy().tobytes() for tensor in model.state_dict().values()]


def cached(path: str | Path | None, key: str, make: Callable[[], dict]) -> dict:
    """``make()``, or what it gave before: a dict of tensors and plain values, kept at ``path`` under ``key``.

    A file of another key (stale) or a damaged one is made again, and replaced only once the new one is whole. Where it
    cannot be written (a full disk) the result is used all the same. ``path`` None caches nothing. Cached tensors are
    mapped into memory, not read.
    """
    if path is None:
        return make()
    path = Path(path)
    if path.exists():
        try:
            content = load_safely(path, mmap=True)
            if content["key"] == key:
                return content["value"]
            tqdm.write(f"cache {path.name} is of other clips or settings: making it again")
        except (CheckpointError, KeyError, TypeError):
            tqdm.write(f"cache {path.name} is damaged: making it again")
    value = make()
    try:
        save_whole({"key": key, "value": value}, path)
    except OSError as error:
        tqdm.write(f"cache {path.name} could not be written, going on without it ({error})")
        return value
    return load_safely(path, mmap=True)["value"]  # mapped: the memory it was made in is free again
