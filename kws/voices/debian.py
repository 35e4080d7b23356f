"""A package of Debian's, unpacked into a folder: nothing is installed, and nothing outside that folder is written."""

import errno
import os
import shutil
import subprocess
from pathlib import Path

UNPACKED = "unpacked"  # the folder with the package's files
PRIVATE = ("Dir::State::Lists=lists", "Dir::Cache=cache", "APT::Sandbox::User=root", "Debug::NoLocking=1")
"""Settings of apt-get with which it keeps its lists of packages in the folder it runs in, as any user."""
UNREACHED = ("Unable to locate package", "Could not resolve", "Unable to fetch", "Failed to fetch", "Unable to find")


class FetchError(OSError):
    """Something that could not be fetched; the message names it and says what to do."""


class NotReached(FetchError):
    """A package that could not be had, as without a network: one can go on without."""


def unpack_debian(package: str, folder: Path) -> None:
    """Download a package with apt-get, and unpack it below ``folder``.

    Where apt-get knows of no packages, as in a fresh container, it fetches their list for this time.
    Raises ``NotReached`` where there is no apt-get, no network or no such package, and ``FetchError`` for whatever else goes wrong.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise NotReached(f"{package} is a package of Debian's, and there is no apt-get here")
    download = ["apt-get", "-o", PRIVATE[2], "download", package]
    private = [part for setting in PRIVATE for part in ("-o", setting)]
    for name in ("lists", "cache"):
        (folder / name / "partial").mkdir(parents=True)
    try:
        _run(download, folder)
    except NotReached:
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
    reason = (lines[-1] if lines else done.stderr.strip()[-200:]).removeprefix("E: ")
    if "No space left" in done.stderr or "enough free space" in done.stderr:
        raise OSError(errno.ENOSPC, reason)
    if any(sign in done.stderr for sign in UNREACHED):
        raise NotReached(reason)
    raise FetchError(f"{' '.join(command[:1])} failed: {reason}")
