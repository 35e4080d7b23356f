"""A manifest: the clips of a corpus by name and checksum, to rebuild it from the official archives without shipping audio."""

import argparse
import csv
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import soundfile
from tqdm import tqdm

from kws.data.corpus import NOISE_FOLDER, SUFFIXES, Corpus, CorpusError, folder_corpus
from kws.data.storage import replacing

COLUMNS = ("word", "clip", "speaker", "pcm_md5")


def pcm_md5(path: str | Path) -> str:
    """MD5 of the 16-bit little-endian samples of a sound file: the same for a wav and its flac copy."""
    samples, _ = soundfile.read(path, dtype="int16")
    return hashlib.md5(samples.astype("<i2").tobytes()).hexdigest()


def write_manifest(corpus: Corpus, path: str | Path) -> None:
    """One line a clip: word, clip (file name without suffix), speaker, pcm_md5; and the noises, under ``_background_noise_``."""
    rows = [(c.word, c.path.stem, c.speaker, c.path) for c in corpus.clips] + [
        (NOISE_FOLDER, p.stem, "", p) for p in corpus.noise_paths
    ]
    with replacing(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(
            (word, stem, speaker, pcm_md5(file_path))
            for word, stem, speaker, file_path in tqdm(rows, "checksums", unit="clip")
        )


def read_manifest(path: str | Path) -> list[dict[str, str]]:
    """The rows of a manifest. Raises ``CorpusError`` for a file that is not one."""
    with open(path, newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise CorpusError(f"{path}: not a manifest, its first line must be {','.join(COLUMNS)}")
        rows = list(reader)
    for row in rows:
        if any(Path(row[column] or "").name != row[column] for column in ("word", "clip")):
            raise CorpusError(
                f"{path}: {row['word']}/{row['clip']} is not the name of a clip; do not use this manifest"
            )
    return rows


def is_corpus_of(corpus: Corpus, path: str | Path) -> bool:
    """Whether the manifest at ``path`` exists and names exactly the clips of this corpus (the sound is not compared)."""
    if not Path(path).is_file():
        return False
    listed = {f"{row['word']}/{row['clip']}" for row in read_manifest(path) if row["word"] != NOISE_FOLDER}
    return listed == {clip.name for clip in corpus.clips}


def rebuild(manifest: str | Path, archives: Sequence[str | Path], target: str | Path) -> Corpus:
    """Put the clips of a manifest into the new folder ``target``, found by word and checksum in unpacked official archives.

    Both versions are needed where a manifest draws on both: v0.02 renumbered some clips of v0.01. Raises ``CorpusError``
    if a clip is in none of the archives, naming how many and the first.
    """
    target = Path(target)
    if target.exists():
        raise CorpusError(f"{target}: is there already; give a new folder")
    for archive in archives:
        if not Path(archive).is_dir():
            raise CorpusError(f"{archive}: there is no such folder; give unpacked archives")
    wanted = {(row["word"], row["pcm_md5"]): row for row in read_manifest(manifest)}
    words = {word for word, _ in wanted}
    files = [
        p
        for archive in archives
        for word in sorted(words)
        for p in sorted((Path(archive) / word).glob("*"))
        if p.suffix in SUFFIXES
    ]
    unfinished = target.with_name(f".{target.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    for path in tqdm(files, "comparing checksums", unit="clip"):
        row = wanted.pop((path.parent.name, pcm_md5(path)), None)
        if row is not None:
            copy = unfinished / row["word"] / (row["clip"] + path.suffix)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    if wanted:
        first = next(iter(wanted.values()))
        shutil.rmtree(unfinished, ignore_errors=True)
        raise CorpusError(
            f"{len(wanted)} clips of the manifest are in none of the archives, such as {first['word']}/{first['clip']}: give v0.01 and v0.02"
        )
    os.rename(unfinished, target)
    return folder_corpus(target)


def main(arguments: list[str] | None = None, prog: str = "kws manifest") -> None:
    """The command line. Raises ``CorpusError`` and ``OSError``."""
    parser = argparse.ArgumentParser(
        prog=prog, description="Write the manifest of a corpus, or rebuild a corpus from its manifest."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("write", help="manifest of a folder")
    write.add_argument("folder")
    write.add_argument("manifest")
    build = commands.add_parser("rebuild", help="corpus from unpacked official archives")
    build.add_argument("manifest")
    build.add_argument("target")
    build.add_argument("archives", nargs="+")
    options = parser.parse_args(arguments)
    if options.command == "write":
        write_manifest(folder_corpus(options.folder), options.manifest)
    else:
        rebuild(options.manifest, options.archives, options.target)
