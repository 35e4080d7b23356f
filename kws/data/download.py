"""The official Speech Commands archives: fetched on request, resumed, checked, unpacked safely and all or nothing.

Speech Commands is by Pete Warden (2018, arXiv:1804.03209), CC BY 4.0. The checksums are those that torchaudio 2.11 carries.
"""

import argparse
import hashlib
import http.client
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from pathlib import Path

from tqdm import tqdm

from kws.data.locks import one_at_a_time
from kws.data.storage import new_folder

_SERVER = "https://storage.googleapis.com/download.tensorflow.org/data"
ARCHIVES = {
    "v0.01": (
        f"{_SERVER}/speech_commands_v0.01.tar.gz",
        "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
    ),
    "v0.02": (
        f"{_SERVER}/speech_commands_v0.02.tar.gz",
        "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    ),
}
_BLOCK = 1 << 20


class DownloadError(OSError):
    """A download that failed or is not what it should be; the message says what to do."""


def download_speech_commands(folder: str | Path, version: str = "v0.01") -> Path:
    """The folder ``speech_commands_<version>`` below ``folder``, downloaded and unpacked if it is not there.

    v0.01 (1.5 GB, 64,727 clips, has ``sheila`` and ``happy``) is the published one; v0.02 has 2.4 GB, 105,829 clips.
    """
    if version not in ARCHIVES:
        raise DownloadError(f"no version {version!r} of Speech Commands; there are {', '.join(ARCHIVES)}")
    target = Path(folder) / f"speech_commands_{version}"
    if not target.is_dir():
        _check_writable(target.parent)
        with one_at_a_time(target):
            _make(target, version)
    print(f"{target} is there")
    return target


def _make(target: Path, version: str) -> None:
    if target.is_dir():
        return  # another process has made it while this one waited
    if target.exists():
        raise DownloadError(f"{target}: is a file; remove it or give another folder")
    url, sha256 = ARCHIVES[version]
    archive = fetch(url, target.with_name(url.rsplit("/", 1)[1]), sha256)
    unpack(archive, target)
    archive.unlink()


def fetch(url: str, path: Path, sha256: str) -> Path:
    """Download a file to ``path``. A download that broke off goes on where it was; one with a wrong checksum is refused and removed."""
    _check_writable(path.parent)
    with one_at_a_time(path):
        if not path.exists():
            partial = path.with_name(path.name + ".part")
            _fetch_rest(url, partial)
            partial.rename(path)
        print(f"checking {path.name}")
        found = _sha256(path)
        if found != sha256:
            path.unlink()
            raise DownloadError(
                f"{url}: its SHA-256 is {found}, not {sha256}: the file is damaged or not the official one; it was removed, try again"
            )
    return path


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DownloadError(
            f"{folder}: nothing can be written there ({error.strerror}); give another folder"
        ) from error


def _fetch_rest(url: str, partial: Path) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            if response.status != 206:
                have = 0  # the server sends the whole file again
            rest = int(response.headers.get("Content-Length", 0))
            with (
                open(partial, "ab" if have else "wb") as file,
                tqdm(
                    total=have + rest or None,
                    initial=have,
                    desc=f"downloading {url.rsplit('/', 1)[1]}",
                    unit="B",
                    unit_scale=True,
                ) as bar,
            ):
                while block := response.read(_BLOCK):
                    file.write(block)
                    bar.update(len(block))
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to send: the whole file is there
            return
        raise DownloadError(f"{url}: the server answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{url}: {error}; what came is kept in {partial.name}, run it again to go on") from error
    if rest and partial.stat().st_size < have + rest:
        raise DownloadError(
            f"{url}: the connection ended early; what came is kept in {partial.name}, run it again to go on"
        )


def unpack(archive: Path, target: Path) -> None:
    """Unpack a tar archive so that ``target`` appears whole or not at all. Members, links and devices that reach out of it are refused."""
    try:
        with new_folder(target) as unfinished, tarfile.open(archive) as tar:
            for member in tqdm(tar, f"unpacking {archive.name}", unit="file"):
                tar.extract(member, unfinished, filter="data")
    except tarfile.FilterError as error:
        raise DownloadError(f"{archive.name}: refused, {error}: do not use this archive") from error
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise DownloadError(f"{archive.name}: could not be unpacked ({error}); nothing was left behind") from error


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(arguments: list[str] | None = None, prog: str = "kws download") -> None:
    """The command line. Raises ``DownloadError`` and ``OSError``."""
    parser = argparse.ArgumentParser(prog=prog, description="Download Google Speech Commands (CC BY 4.0).")
    parser.add_argument("folder", help="where to put it")
    parser.add_argument("--version", default="v0.01", choices=ARCHIVES)
    options = parser.parse_args(arguments)
    download_speech_commands(options.folder, options.version)
