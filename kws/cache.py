"""A cache of tensors on disk that knows what it holds: another corpus, split or setting is recognised and made again."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn
from tqdm import tqdm

from kws.checkpoint import CheckpointError, load_safely, save_whole


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
