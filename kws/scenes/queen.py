"""The spoken lines of *Flight of the Amazon Queen*: 4.6 hours of English by actors, in one file of an adventure game of 1995.

The game may be given away, and Debian has a package of it. What is where in the file is known from the engine that plays it, ScummVM
(https://github.com/scummvm/scummvm: ``engines/queen/resource.cpp``).
"""

import io
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from torch import Tensor

from kws.data.audio import AudioError, resampled

QUEEN = "queen.1c"
MAGIC, LIST_AT = b"QTBL", 13  # how the file begins; where the number of its files is
ENTRY = struct.Struct(">12sBII")  # of the list of files: name, kind, place and length
SPOKEN = ".SB"  # how the names of spoken lines end


class Line(NamedTuple):
    """A spoken line: its name, and its sound as MP3, 11,025 samples a second."""

    name: str
    mp3: bytes


def queen_lines(path: str | Path) -> list[Line]:
    """The lines in the order of the file. Raises ``AudioError`` for another file, or one that was cut off."""
    packed = Path(path).read_bytes()
    if packed[: len(MAGIC)] != MAGIC:
        raise AudioError(f"{path}: not {QUEEN} of Flight of the Amazon Queen")
    # The list of files comes first.
    first = LIST_AT + 2
    last = first + ENTRY.size * int.from_bytes(packed[LIST_AT:first], "big")
    entries = list(ENTRY.iter_unpack(packed[first:last])) if last <= len(packed) else []
    if last > len(packed) or max((start + size for *_, start, size in entries), default=0) > len(packed):
        raise AudioError(f"{path}: cut off; fetch it again")
    named = ((name.rstrip(b"\0").decode("latin-1"), start, size) for name, _, start, size in entries)
    return [Line(name.removesuffix(SPOKEN), packed[at : at + n]) for name, at, n in named if name.endswith(SPOKEN)]


def read_line(line: Line) -> Tensor:
    """A line (samples,) float32 at 16 kHz. Raises ``AudioError`` for one that cannot be read."""
    try:
        sound, rate = soundfile.read(io.BytesIO(line.mp3), dtype="float32")
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{QUEEN}: line {line.name} cannot be read ({error.error_string})") from error
    return torch.from_numpy(np.concatenate(list(resampled([sound], rate))))
