"""A package of Debian's, unpacked into a folder: nothing is installed, and nothing outside that folder is written."""

import errno
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

UNPACKED = "unpacked"  # the folder with the package's files
SANDBOX = ("-o", "APT::Sandbox::User=root")  # it downloads as whoever runs it, and warns of nothing


class FetchError(OSError):
    """Something that could not be fetched; the message names it and says what to do."""


class NotReached(FetchError):
    """A package that could not be had, as without a network: one can go on without."""


def unpack_debian(package: str, folder: Path) -> None:
    """Download a package with apt-get, and unpack it below ``folder``.

    Where apt-get knows of no packages, as in a fresh container, it fetches their list for this time, as any user.
    Raises ``NotReached`` where it cannot be had, ``OSError`` for a full disk, and ``FetchError`` for a damaged package.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise NotReached(f"{package} is a package of Debian's, and there is no apt-get here")
    try:
        _run(["apt-get", *SANDBOX, "download", package], folder)
    except NotReached:
        # Its own lists and cache lie in the folder: a path that is not absolute would be below the system's.
        private = list(SANDBOX)
        for name, setting in (("lists", "Dir::State::Lists"), ("cache", "Dir::Cache")):
            (folder / name / "partial").mkdir(parents=True)
            private += ["-o", f"{setting}={folder.resolve() / name}"]
        with suppress(NotReached):  # of one source of several, perhaps
            _run(["apt-get", *private, "update"], folder)
        _run(["apt-get", *private, "download", package], folder)
    (file,) = folder.glob(f"{package}_*.deb")
    _run(["dpkg-deb", "-x", file.name, UNPACKED], folder)


def _run(command: list[str], folder: Path) -> None:
    """A command in that folder. Raises an error with the reason that it gives."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    if done.returncode == 0:
        return
    lines = [line for line in done.stderr.splitlines() if line.startswith(("E: ", "Err", "dpkg-deb: error"))]
    reason = (lines[-1] if lines else done.stderr.strip()[-200:]).removeprefix("E: ") or "it does not say why"
    if "No space left" in done.stderr or "enough free space" in done.stderr:
        raise OSError(errno.ENOSPC, reason)
    if command[0] == "apt-get":
        raise NotReached(reason)
    raise FetchError(f"{command[0]} failed: {reason}")
