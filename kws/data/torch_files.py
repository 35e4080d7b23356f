"""Files of torch: what ``torch.save`` writes, loading that never runs code, and a cache of tensors on disk that knows what it holds."""

import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from kws.data.storage import check_file, save_whole

OLDER = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # what a file in the older format of torch.save begins with


class CheckpointError(ValueError):
    """A checkpoint that cannot be loaded; the message names the file, what is wrong and what to do."""


def saved(content: Any, small: bool = False) -> bytes:
    """What ``torch.save`` writes, without a file's name inside: the same content is the same bytes.

    ``small`` is for a dict with one tensor: torch's older format has some 330 bytes around it instead of 1,500. Its checksum is put at the end.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not small)
    if not small:
        return buffer.getvalue()
    # That format calls a tensor's storage by its address in memory; here all are called 0.
    (tensor,) = _tensors(content)
    address, zero = (b"X" + struct.pack("<I", len(name)) + name for name in (_address(tensor), b"0"))
    written = buffer.getvalue().replace(address, zero)
    return written + struct.pack("<I", zlib.crc32(written))


def is_small(path: str | Path) -> bool:
    """Whether a file is in the older format of ``torch.save``."""
    with open(path, "rb") as file:
        return file.read(len(OLDER)) == OLDER


def is_whole(written: bytes) -> bool:
    """Whether a file in that format is what ``saved`` gave."""
    return struct.pack("<I", zlib.crc32(written[:-4])) == written[-4:]


def _tensors(content: Any) -> list[Tensor]:
    if isinstance(content, dict):
        return [tensor for part in content.values() for tensor in _tensors(part)]
    return [content] if isinstance(content, Tensor) else []


def _address(tensor: Tensor) -> bytes:
    return str(tensor.untyped_storage()._cdata).encode()


def load_safely(path: str | Path, mmap: bool = False) -> Any:
    """``torch.load`` on the CPU that never runs code from the file, with errors a user can act on."""
    path = Path(path)
    if is_torchscript(path):
        raise CheckpointError(f"{path}: a TorchScript model; load it with torch.jit.load")
    # A zip file has checksums of its own.
    if is_small(path) and not is_whole(path.read_bytes()):
        raise CheckpointError(
            f"{path}: damaged, get or write it again (its checksum is another), or not a file of this package"
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: holds Python code or objects besides tensors, which are never loaded; do not trust this file"
        ) from error
    except (RuntimeError, EOFError, OSError, zipfile.BadZipFile, KeyError) as error:
        raise CheckpointError(f"{path}: damaged, get or write it again ({error})") from error


def is_torchscript(path: str | Path) -> bool:
    """Whether a file is a TorchScript program rather than a checkpoint.

    Raises ``FileNotFoundError``, or ``CheckpointError`` for one that may not be read or is no PyTorch file.
    """
    try:
        check_file(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CheckpointError(str(error)) from error
    if is_small(path):
        return False
    if not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path}: truncated, or not a PyTorch file; get or write it again")
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except zipfile.BadZipFile as error:
        raise CheckpointError(f"{path}: damaged, get or write it again ({error})") from error


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
        content = load_safely(path, mmap=True)  # mapped: the memory it was made in is free again
    except OSError as error:
        tqdm.write(f"cache {path.name} could not be written, going on without it ({error})")
        return value
    return content["value"] if content["key"] == key else value  # another process may have replaced it by now


def cache_file(cache: str | Path | None, name: str, what: str) -> Path | None:
    """The file of a cache folder for some part of something named; None without a folder."""
    return None if cache is None else Path(cache) / f"{name}-{what}.pt"
