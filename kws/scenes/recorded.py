"""Recorded speech without the keyword, cut at its pauses.

Real voices say far more sounds than a corpus of a few words holds.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from kws.data.audio import SAMPLE_RATE, AudioError, read_audio, to_int16
from kws.data.corpus import CorpusError, find_sound_files, visible_files
from kws.data.jobs import in_order
from kws.data.storage import file_state, fingerprint
from kws.data.torch_files import cache_file, cached
from kws.scenes.queen import QUEEN, Line, queen_lines, read_line

VERSION = 2  # of how they are cut: raise it when that changes
TRAIN = "train"
VALIDATION = "validation"  # the folder, below that of the recordings, of those that training must not hear
SUFFIXES = (".wav", ".flac", ".ogg", ".opus")
HOP = SAMPLE_RATE // 100
SILENT_DB = 40.0  # below the loudest hundredth of a second of a recording: silence
PAUSE = 15  # hops of silence that part two phrases
LONGEST = 2.0  # seconds up to which neighbouring phrases stay together
MOST = 5.0  # seconds of a phrase: one without a pause, as in noise, is cut
AROUND = 4  # hops kept before and after a phrase
SHORTEST = 0.15  # seconds, with the 80 ms kept around: less is a click


def sound_files(folder: str | Path) -> list[Path]:
    """The visible sound files below a folder, in order. Raises ``FileNotFoundError`` if there is none."""
    paths = find_sound_files(folder, suffixes=SUFFIXES)
    if not paths:
        raise FileNotFoundError(f"{folder}: no sound file ({', '.join(s[1:] for s in SUFFIXES)}) below it")
    return paths


def recorded_phrases(folder: str | Path, subset: str = TRAIN, cache: str | Path | None = None) -> list[Tensor]:
    """Phrases (samples,) int16 of a subset's recordings below a folder, parted at pauses, in the order of their names.

    Those below its folder ``validation``, which should be of other speakers, are for "validation", all others for
    "train"; of other subsets there are none. A file ``queen.1c`` stands for the lines in it (``kws.scenes.queen``).
    With a folder ``cache`` they are kept there, and read anew only if a file changes. A file that cannot be read is named and left out.
    Raises ``CorpusError`` if there is nothing to train on, and ``FileNotFoundError`` for a folder without sound.
    """
    packed = [path for path in visible_files(folder, "**/*") if path.name == QUEEN]
    paths = [*(find_sound_files(folder, suffixes=SUFFIXES) if packed else sound_files(folder)), *packed]
    parts = {path: path.relative_to(folder).parts[0] for path in paths}
    paths = [path for path, part in parts.items() if (VALIDATION if part == VALIDATION else TRAIN) == subset]

    # Each recording on whichever core is free.
    def read(recording: Path | Line | str) -> list[np.ndarray] | str:
        if isinstance(recording, str):
            return recording
        try:
            waveform = read_line(recording) if isinstance(recording, Line) else read_audio(recording)
            return [phrase.numpy() for phrase in cut_at_pauses(waveform)]
        except AudioError as error:
            return str(error)

    def lines_or_error(path: Path) -> list[Line] | list[str]:
        try:
            return queen_lines(path)
        except AudioError as error:
            return [str(error)]

    def make() -> dict:
        recordings = [one for path in paths for one in (lines_or_error(path) if path in packed else [path])]
        found = list(in_order(read, recordings, f"reading recorded speech for {subset}", "recording"))
        errors = [message for message in found if isinstance(message, str)]
        for message in errors:
            tqdm.write(f"left out: {message}")
        if errors and len(errors) == len(found):
            raise CorpusError(f"none of the {len(errors)} recordings can be read; the first: {errors[0]}")
        read_ones = [phrases for phrases in found if not isinstance(phrases, str)]
        return {"phrases": [torch.from_numpy(phrase) for phrases in read_ones for phrase in phrases]}

    files = [(str(path.relative_to(folder)), file_state(path)) for path in paths]
    phrases = cached(cache_file(cache, "recorded-speech", subset), fingerprint(VERSION, files), make)["phrases"]
    if subset == TRAIN and not phrases:
        raise CorpusError(f"{folder}: no speech to train on in its sound files")
    return phrases


def cut_at_pauses(waveform: Tensor) -> list[Tensor]:
    """The phrases (samples,) int16 of a recording (samples,): what is parted by 150 ms of silence.

    Neighbours of up to 2 s together stay so. What goes on for more than 5 s is cut where it is quietest.
    """
    hops = len(waveform) // HOP
    if not hops or not waveform.any():
        return []
    # Stretches of sound, with 40 ms kept around them.
    level = 10 * np.log10(np.square(waveform[: hops * HOP].double().numpy()).reshape(hops, HOP).mean(1) + 1e-12)
    loud = np.flatnonzero(level > level.max() - SILENT_DB)
    stretches = np.split(loud, np.flatnonzero(np.diff(loud) > PAUSE) + 1)
    spans = ((max(s[0] - AROUND, 0), min(s[-1] + AROUND + 1, hops)) for s in stretches)
    short = (piece for span in _together(spans) for piece in _short(span, level))
    return [to_int16(waveform[first * HOP : last * HOP]) for first, last in short]


def _short(span: tuple[int, int], level: np.ndarray) -> list[tuple[int, int]]:
    """Parts of a span of hops, each short enough, cut where the level (hops,) is least."""
    first, last = span
    if last - first <= MOST * SAMPLE_RATE / HOP:
        return [span]
    quarter = (last - first) // 4
    cut = first + quarter + int(level[first + quarter : last - quarter].argmin())
    return _short((first, cut), level) + _short((cut, last), level)


def _together(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans of hops without clicks, neighbours joined where both are short."""
    joined: list[tuple[int, int]] = []
    for first, last in spans:
        if last - first < SHORTEST * SAMPLE_RATE / HOP:
            continue
        if joined and last - joined[-1][0] <= LONGEST * SAMPLE_RATE / HOP:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined
