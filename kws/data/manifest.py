"""A manifest: the clips of a corpus by name and checksum, to rebuild it from the official archives without shipping audio."""

import argparse
import csv
import glob
import hashlib
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from kws.data.audio import AudioError, open_sound
from kws.data.corpus import NOISE_FOLDER, Corpus, CorpusError, find_sound_files, folder_corpus
from kws.data.storage import check_file, new_folder, replacing

BLOCK = 1 << 16  # samples read at a time
COLUMNS = ("word", "clip", "speaker", "pcm_md5")


def pcm_md5(path: str | Path) -> str:
    """MD5 of the 16-bit little-endian samples of a sound file: the same for a wav and its flac copy. Raises ``AudioError``."""
    md5 = hashlib.md5()
    try:
        check_file(path, "sound file")
        with open_sound(path) as (sound, _):
            while len(block := sound.read(BLOCK, dtype="int16")):
                md5.update(block.astype("<i2").tobytes())
    except Exception as error:  # libsndfile's, NumPy's and the system's have no base class but this
        raise AudioError(f"{path}: not a readable sound file, replace or remove it ({error})") from error
    return md5.hexdigest()


def write_manifest(corpus: Corpus, path: str | Path) -> None:
    """One line a clip: word, clip (file name without suffix), speaker, pcm_md5; and the noises, under ``_background_noise_``.

    Raises ``CorpusError`` for files that cannot be read, naming how many and the first, and for two noises of one name.
    """
    files = [(c.word, c.path.stem, c.speaker, c.path) for c in corpus.clips]
    files += [(NOISE_FOLDER, p.stem, "", p) for p in corpus.noise_paths]
    rows, errors = [], []
    # All files are read before one is refused, so that all that is wrong is told at once.
    for word, stem, speaker, file in tqdm(files, "checksums", unit="clip"):
        try:
            rows.append((word, stem, speaker, pcm_md5(file)))
        except AudioError as error:
            errors.append(str(error))
    if errors:
        raise CorpusError(f"no manifest written: {len(errors)} of the files cannot be read; the first: {errors[0]}")
    _check_names(rows, path)
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def read_manifest(path: str | Path) -> list[dict[str, str]]:
    """The rows of a manifest. Raises ``CorpusError`` for a file that is not one, and for names that are none or given twice."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = list(csv.reader(file))
    except (csv.Error, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: not a manifest, which is a text file ({error})") from error
    if not lines or tuple(lines[0]) != COLUMNS:
        raise CorpusError(f"{path}: not a manifest, its first line must be {','.join(COLUMNS)}")
    rows = [line for line in lines[1:] if line]
    for row in rows:
        if len(row) != len(COLUMNS):
            raise CorpusError(f"{path}: damaged, a line has not {len(COLUMNS)} columns: {','.join(row)[:80]}")
    _check_names(rows, path)
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def _check_names(rows: Iterable[Sequence[str]], path: str | Path) -> None:
    """Of rows of word, clip and more. A name must be a visible one in its folder, and the only one."""
    seen = set()
    for word, clip, *_ in rows:
        for name in (word, clip):
            if not name or name.startswith(".") or set(name) & set("/\\\0"):
                raise CorpusError(f"{path}: {word}/{clip} is not the name of a clip; do not use this manifest")
        if (word, clip) in seen:
            raise CorpusError(f"{path}: {word}/{clip} is listed twice; rename one of the two files, or remove it")
        seen.add((word, clip))


def is_corpus_of(corpus: Corpus, path: str | Path) -> bool:
    """Whether the manifest at ``path`` exists and names exactly the clips of this corpus (the sound is not compared)."""
    if not Path(path).is_file():
        return False
    listed = {f"{row['word']}/{row['clip']}" for row in read_manifest(path) if row["word"] != NOISE_FOLDER}
    return listed == {clip.name for clip in corpus.clips}


def rebuild(manifest: str | Path, archives: Sequence[str | Path], target: str | Path) -> Corpus:
    """Put the clips of a manifest into the new folder ``target``, found by word and checksum in unpacked official archives.

    Both versions are needed where a manifest draws on both: v0.02 renumbered some clips of v0.01. A file of the archives that
    cannot be read is named. Raises ``CorpusError`` if a clip is in none of the archives, naming how many and the first.
    """
    target = Path(target)
    if target.exists():
        raise CorpusError(f"{target}: is there already; give a new folder")
    for archive in archives:
        if not Path(archive).is_dir():
            raise CorpusError(f"{archive}: there is no such folder; give unpacked archives")
    # What is wanted; one recording may have several names.
    wanted: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in read_manifest(manifest):
        wanted.setdefault((row["word"], row["pcm_md5"].lower()), []).append(row)
    words = sorted({word for word, _ in wanted})
    if not {*words} - {NOISE_FOLDER}:
        raise CorpusError(f"{manifest}: lists no clip")
    # Only the folders of its words are read.
    files = [
        path for archive in archives for word in words for path in find_sound_files(archive, f"{glob.escape(word)}/*")
    ]
    with new_folder(target) as unfinished:
        for path in tqdm(files, "comparing checksums", unit="clip"):
            try:
                rows = wanted.pop((path.parent.name, pcm_md5(path)), [])
            except AudioError as error:
                tqdm.write(f"left out: {error}")
                continue
            for row in rows:
                copy = unfinished / row["word"] / (row["clip"] + path.suffix)
                copy.parent.mkdir(exist_ok=True)
                shutil.copyfile(path, copy)
        # What was not found is told, and nothing is left behind.
        if wanted:
            missing = [row for rows in wanted.values() for row in rows]
            raise CorpusError(
                f"{len(missing)} clips of the manifest are in none of the archives, such as"
                f" {missing[0]['word']}/{missing[0]['clip']}: give v0.01 and v0.02"
            )
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
