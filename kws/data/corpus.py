"""A corpus: one-word clips with their words and speakers, and long noises to mix in."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from kws.data.audio import SAMPLE_RATE, AudioError, fit_to_length, read_audio, to_int16
from kws.data.jobs import one_thread

CLIP_SAMPLES = SAMPLE_RATE
NOISE_FOLDER = "_background_noise_"
SUFFIXES = {".wav", ".flac"}


class CorpusError(ValueError):
    """A corpus that cannot be used as it is; the message names what is wrong and what to do."""


@dataclass(frozen=True, order=True)
class Clip:
    """One recording of one word. ``name`` is ``<word>/<file without suffix>``: the same for a wav and its flac copy."""

    name: str
    word: str
    speaker: str
    path: Path


@dataclass(frozen=True)
class Corpus:
    """Clips sorted by name, and noise files. ``name`` goes into checkpoints, so that a model tells what it was trained on."""

    name: str
    clips: tuple[Clip, ...]
    noise_paths: tuple[Path, ...] = ()

    @cached_property
    def words(self) -> Counter:
        """Number of clips of each word."""
        return Counter(clip.word for clip in self.clips)

    @cached_property
    def speakers(self) -> Counter:
        """Number of clips of each speaker."""
        return Counter(clip.speaker for clip in self.clips)

    def labels(self, keyword: str) -> Tensor:
        """(clips,) int64, 1 where the clip is of the keyword. Raises ``CorpusError`` if none is, naming the words there are."""
        if keyword not in self.words:
            known = ", ".join(sorted(self.words))
            raise CorpusError(f"corpus {self.name!r} has no clip of the keyword {keyword!r}; its words are: {known}")
        return torch.tensor([int(clip.word == keyword) for clip in self.clips])

    def without(self, names: Iterable[str]) -> "Corpus":
        """The same corpus without the clips of these names."""
        unwanted = set(names)
        return Corpus(self.name, tuple(c for c in self.clips if c.name not in unwanted), self.noise_paths)


def visible_files(folder: str | Path, pattern: str) -> list[Path]:
    """The files below a folder that match a pattern of ``Path.glob``, in order.

    Hidden ones are left out, such as macOS's ``._x.wav``, and so is what lies in hidden folders.
    """
    folder = Path(folder)
    return sorted(
        path
        for path in folder.glob(pattern)
        if not any(part.startswith(".") for part in path.relative_to(folder).parts) and not path.is_dir()
    )


def find_sound_files(folder: str | Path, pattern: str = "**/*", suffixes: Collection[str] = SUFFIXES) -> list[Path]:
    """The visible sound files below a folder, in order, by their suffix in small or capital letters."""
    return [path for path in visible_files(folder, pattern) if path.suffix.lower() in suffixes]


def folder_corpus(folder: str | Path, name: str = "speech_commands") -> Corpus:
    """A corpus from a folder shaped like Speech Commands: ``<word>/<speaker>_nohash_<n>.wav`` (or flac).

    Every sub-folder is a word, except ``_background_noise_``, whose sound files are the noises, and hidden ones. What precedes
    ``_nohash_`` in a file name is the speaker; files without it count as one speaker each. Other files are ignored.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CorpusError(
            f"{folder}: there is no such folder; give one shaped like Speech Commands, <word>/<speaker>_nohash_<n>.wav"
        )
    clips, noises = {}, []
    for path in find_sound_files(folder, "*/*"):
        word = path.parent.name
        if word == NOISE_FOLDER:
            noises.append(path)
            continue
        clip = Clip(f"{word}/{path.stem}", word, path.stem.split("_nohash_")[0], path)
        if clip.name in clips:
            raise CorpusError(f"{path} and {clips[clip.name].path} are the same clip twice: remove one of them")
        clips[clip.name] = clip
    if not clips:
        raise CorpusError(f"{folder}: no clip in it; it must hold one folder a word, with wav or flac files")
    return Corpus(name, tuple(sorted(clips.values())), tuple(noises))


class LoadedClips(NamedTuple):
    """The usable clips, waveforms (clips, 16000) int16, and messages: a file that was left out each, or what was cropped."""

    corpus: Corpus
    waveforms: Tensor
    messages: list[str]


@one_thread()
def load_clips(corpus: Corpus, progress: bool = True) -> LoadedClips:
    """Decode every clip once; shorter clips are padded and longer ones cropped, alike on both ends.

    Files that cannot be used are left out, and named with the reason. Raises ``CorpusError`` if none remains.
    """
    waveforms = torch.zeros(len(corpus.clips), CLIP_SAMPLES, dtype=torch.int16)
    errors, longer = {}, {}
    # Each clip becomes a row, or an error.
    for i, clip in enumerate(tqdm(corpus.clips, "decoding clips", unit="clip", disable=not progress)):
        try:
            waveform = read_audio(clip.path)
        except AudioError as error:
            errors[clip.name] = str(error)
            continue
        waveforms[i] = to_int16(fit_to_length(waveform, CLIP_SAMPLES))
        if len(waveform) > CLIP_SAMPLES:
            longer[clip.path] = len(waveform)
    if len(errors) == len(corpus.clips):
        raise CorpusError(
            f"corpus {corpus.name!r}: none of its {len(errors)} clips can be read; the first: {next(iter(errors.values()))}"
        )
    # Rows of errors go, and what happened is told.
    usable = [i for i, clip in enumerate(corpus.clips) if clip.name not in errors]
    messages = [f"left out: {error}" for error in errors.values()] + ([_cropped(longer)] if longer else [])
    return LoadedClips(corpus.without(errors), waveforms[usable] if errors else waveforms, messages)


def _cropped(longer: dict[Path, int]) -> str:
    longest = max(longer, key=longer.__getitem__)
    return (
        f"cropped to their middle second: {len(longer)} clips that are longer; the longest, {longest}, has"
        f" {longer[longest] / SAMPLE_RATE:.2f} s; cut longer recordings around the word yourself"
    )


def load_noises(corpus: Corpus) -> list[Tensor]:
    """The corpus' noises as int16 (samples,), each at least one clip long (a shorter one is repeated).

    A corpus without noise files gets a minute of white noise, so that training is the same everywhere.
    """
    if not corpus.noise_paths:
        generator = torch.Generator().manual_seed(0)
        return [to_int16(0.1 * torch.randn(60 * SAMPLE_RATE, generator=generator).clamp(-9, 9))]
    return list(recorded_noises(corpus).values())


def recorded_noises(corpus: Corpus) -> dict[Path, Tensor]:
    """As ``load_noises``, by file, but of a corpus without noise files there are none.

    A file that cannot be used is named and left out. Raises ``CorpusError`` if all are such.
    """
    noises = {path: to_int16(waveform) for path, waveform in readable(corpus.noise_paths)}
    return {path: noise.repeat(-(-CLIP_SAMPLES // len(noise))) for path, noise in noises.items()}


def readable(paths: Iterable[Path]) -> Iterator[tuple[Path, Tensor]]:
    """Each sound file with its waveform (samples,); one that cannot be used is left out, and named with the reason.

    Raises ``CorpusError`` in the end if there were files, but none that can be used.
    """
    errors, found = [], 0
    for path in paths:
        try:
            waveform = read_audio(path)
        except AudioError as error:
            tqdm.write(f"left out: {error}")
            errors.append(str(error))
            continue
        found += 1
        yield path, waveform
    if errors and not found:
        raise CorpusError(f"none of the {len(errors)} sound files can be read; the first: {errors[0]}")
