"""A corpus: one-word clips with their words and speakers, and long noises to mix in."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from kws.data.audio import SAMPLE_RATE, AudioError, fit_to_length, read_audio, to_int16

CLIP_SAMPLES = SAMPLE_RATE
NOISE_FOLDER = "_background_noise_"
SUFFIXES = {".wav", ".flac"}


class CorpusError(ValueError):
    """A corpus that cannot be used as it is; the message names what is wrong and what to do."""


def normal_keyword(keyword: str) -> str:
    """A keyword as the user may type it, in lower case and without spaces around it."""
    return " ".join(keyword.lower().split())


def word_of(keyword: str) -> str:
    """The name of a keyword's folder: that of a phrase has underscores."""
    return normal_keyword(keyword).replace(" ", "_")


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


def folder_corpus(folder: str | Path, name: str = "speech_commands") -> Corpus:
    """A corpus from a folder shaped like Speech Commands: ``<word>/<speaker>_nohash_<n>.wav`` (or flac).

    Every sub-folder is a word, except ``_background_noise_``, whose sound files are the noises. What precedes
    ``_nohash_`` in a file name is the speaker; files without it count as one speaker each. Other files are ignored.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CorpusError(
            f"{folder}: there is no such folder; give one shaped like Speech Commands, <word>/<speaker>_nohash_<n>.wav"
        )
    clips, noises = {}, []
    for path in sorted(folder.glob("*/*")):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        word = path.parent.name
        if word == NOISE_FOLDER:
            noises.append(path)
        else:
            clip = Clip(f"{word}/{path.stem}", word, path.stem.split("_nohash_")[0], path)
            if clip.name in clips:
                raise CorpusError(f"{path} and {clips[clip.name].path} are the same clip twice: remove one of them")
            clips[clip.name] = clip
    if not clips:
        raise CorpusError(f"{folder}: no clip in it; it must hold one folder a word, with wav or flac files")
    return Corpus(name, tuple(sorted(clips.values())), tuple(noises))


def load_clips(corpus: Corpus, progress: bool = True) -> tuple[Corpus, Tensor, list[str]]:
    """Decode every clip once: (clips, 16000) int16, shorter clips padded and longer ones cropped alike on both ends.

    Files that cannot be used are left out: returned are the corpus of the clips that remain, their waveforms, and a
    message for each file left out. Raises ``CorpusError`` if none remains.
    """
    waveforms = torch.zeros(len(corpus.clips), CLIP_SAMPLES, dtype=torch.int16)
    errors = {}
    for i, clip in enumerate(tqdm(corpus.clips, "decoding clips", unit="clip", disable=not progress)):
        try:
            waveforms[i] = to_int16(fit_to_length(read_audio(clip.path), CLIP_SAMPLES))
        except AudioError as error:
            errors[clip.name] = str(error)
    if len(errors) == len(corpus.clips):
        raise CorpusError(
            f"corpus {corpus.name!r}: none of its {len(errors)} clips can be read; the first: {next(iter(errors.values()))}"
        )
    usable = [i for i, clip in enumerate(corpus.clips) if clip.name not in errors]
    return corpus.without(errors), waveforms[usable] if errors else waveforms, list(errors.values())


def load_noises(corpus: Corpus) -> list[Tensor]:
    """The corpus' noises as int16 (samples,), each at least one clip long (a shorter one is repeated).

    A corpus without noise files gets a minute of white noise, so that training is the same everywhere.
    """
    noises = [to_int16(read_audio(path)) for path in corpus.noise_paths]
    if not noises:
        generator = torch.Generator().manual_seed(0)
        noises = [to_int16(0.1 * torch.randn(60 * SAMPLE_RATE, generator=generator).clamp(-9, 9))]
    return [noise.repeat(-(-CLIP_SAMPLES // len(noise))) if len(noise) < CLIP_SAMPLES else noise for noise in noises]
