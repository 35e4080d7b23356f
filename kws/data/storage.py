"""Files that are whole or not there, and a cache of tensors on disk that knows what it holds."""

import hashlib
import io
import os
import pickle
import re
import secrets
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Tensor, nn
from tqdm import tqdm

from kws.data.locks import hold


class CheckpointError(ValueError):
    """A checkpoint that cannot be loaded; the message names the file, what is wrong and what to do."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path of the same name to write to; it becomes ``path``, whole, when the block ends without an error.

    Whatever goes wrong inside (a full disk, a kill), the file that was at ``path`` before is untouched. An ``OSError`` of the system
    names it.
    """
    path = Path(path)
    with _aside(path) as temporary:
        try:
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError as error:
            if error.errno is None or error.filename is not None:
                raise
            raise OSError(error.errno, error.strerror, str(path)) from error  # a full disk has no name


@contextmanager
def new_folder(target: str | Path) -> Iterator[Path]:
    """Give a temporary folder to fill; it becomes ``target``, whole, when the block ends without an error.

    If another process made ``target`` meanwhile, that one stays and this one is dropped.
    """
    target = Path(target)
    with _aside(target) as temporary:
        temporary.mkdir()
        yield temporary
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():
                raise


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """A path of the same name, in a folder beside it that is this process's own and is removed afterwards.

    The folder is locked as long as the process lives: so the folders of killed processes are known, and removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Remove what killed processes left here.
    theirs = re.compile(rf"\.{re.escape(path.name)}\.\d+\.[0-9a-f]{{8}}\.part")
    for other in [p for p in path.parent.iterdir() if theirs.fullmatch(p.name)]:
        with suppress(OSError):
            handle = hold(other)
            shutil.rmtree(other, ignore_errors=True)
            os.close(handle)
    # Hold one of our own while the block runs.
    while True:
        folder = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
        folder.mkdir()
        try:
            handle = hold(folder)
            break
        except (BlockingIOError, FileNotFoundError):
            continue  # another process took it for left behind
        except OSError:
            handle = None  # a file system without locks, where nothing is taken for left behind
            break
    try:
        yield folder / path.name
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


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


def save_flac(waveform: Tensor, path: str | Path, rate: int) -> None:
    """Write a waveform (samples,) int16 as FLAC. Raises ``OSError`` naming the file, as for a full disk."""
    path = Path(path)
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform.numpy(), rate, format="FLAC", compression_level=0)  # as exact, in half the time
    try:
        path.write_bytes(buffer.getbuffer())
    except OSError as error:
        raise OSError(f"{path}: could not be written; is the disk full? ({error})") from error


def check_file(path: str | Path, kind: str = "file") -> None:
    """Raises an ``OSError`` that says why, if a path is no ordinary file that may be read: ``FileNotFoundError`` if there is none."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):
            os.close(os.open(path, os.O_RDONLY))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"{path}: there is no such {kind}") from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise OSError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not stat.S_ISREG(mode):
        raise OSError(f"{path}: {'a folder' if stat.S_ISDIR(mode) else 'a pipe or a device'}, not a {kind}")


def load_safely(path: str | Path, mmap: bool = False) -> Any:
    """``torch.load`` on the CPU that never runs code from the file, with errors a user can act on."""
    path = Path(path)
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
    """Whether a file is a TorchScript program rather than a checkpoint.

    Raises ``FileNotFoundError``, or ``CheckpointError`` for one that may not be read or is no PyTorch file.
    """
    try:
        check_file(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CheckpointError(str(error)) from error
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


def file_state(path: str | Path) -> tuple[int, ...]:
    """What changes with a file's content, for ``fingerprint``: of a link, that of the file it leads to; of none, ()."""
    try:
        stat = Path(path).stat()
    except OSError:  # a link to nowhere
        return ()
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


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
        content = load_safely(path, mmap=True)  # mapped: the memory it was made in is free again
    except OSError as error:
        tqdm.write(f"cache {path.name} could not be written, going on without it ({error})")
        return value
    return content["value"] if content["key"] == key else value  # another process may have replaced it by now


def digest(recordings: list[torch.Tensor]) -> str:
    """A checksum of all samples, so that the same names with other sound are noticed."""
    found = hashlib.sha256()
    for recording in recordings:
        found.update(recording.numpy())
    return found.hexdigest()


def cache_file(cache: str | Path | None, name: str, what: str) -> Path | None:
    """The file of a cache folder for some part of something named; None without a folder."""
    return None if cache is None else Path(cache) / f"{name}-{what}.pt"
