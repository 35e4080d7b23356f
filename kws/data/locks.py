"""Locks between processes, which end with the process that holds them, however it ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tqdm import tqdm

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextmanager
def one_at_a_time(path: str | Path) -> Iterator[None]:
    """Let one process at a time make ``path``; another waits at the beginning of the block until the first is done or dead."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(f".{path.name}.lock")
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        with suppress(OSError):  # a file system without locks
            if not _try_to_lock(handle):
                tqdm.write(f"waiting for another process that makes {path.name}")
                fcntl.flock(handle, fcntl.LOCK_EX)
        # The lock counts only while its file is there: whoever had it removed it.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), file.stat()):
                break
        os.close(handle)
    try:
        yield
    finally:
        with suppress(OSError):
            file.unlink()
        os.close(handle)


def hold(folder: Path) -> int:
    """A handle that holds a folder's lock until it is closed.

    Raises ``BlockingIOError`` or ``FileNotFoundError`` where another process holds or removed it, other ``OSError`` where none can.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        if not _try_to_lock(handle):
            raise BlockingIOError(f"{folder}: another process holds it")
        folder.stat()
    except BaseException:
        os.close(handle)
        raise
    return handle


def _try_to_lock(handle: int) -> bool:
    """Lock an open file or folder, if no other process has. Raises ``OSError`` where there are no locks."""
    if fcntl is None:
        raise OSError("no locks on this system")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
