"""Files that are whole or not there, and short names for what they hold."""

import hashlib
import io
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Tensor, nn

from kws.data.locks import hold


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


def digest(recordings: list[torch.Tensor]) -> str:
    """A checksum of all samples, so that the same names with other sound are noticed."""
    found = hashlib.sha256()
    for recording in recordings:
        found.update(recording.numpy())
    return found.hexdigest()
