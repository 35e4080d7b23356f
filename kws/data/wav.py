"""What the header of a WAV file says of its samples, and one that tells the truth. libsndfile reads the samples themselves."""

import io
import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

ORDERS = {b"RIFF": "<", b"RF64": "<", b"RIFX": ">"}  # of the bytes of numbers, by the first four
MOST_CHUNKS = 1_000  # more of them before the samples is no sound file
PLACEHOLDER = 0x7F000000  # a recorder that writes to a pipe promises more bytes: 0x7FFFF000, 0x80000000 or 0xFFFFFFFF
PLACEHOLDER_64 = 1 << 62
MOST_32 = 0xFFFFFF00  # bytes that 32 bits can count, header included


@dataclass(frozen=True)
class WavSamples:
    """The samples of a WAV file, in bytes.

    Attributes:
        kind: the first four bytes: RIFF, RF64 or RIFX.
        format: the content of the chunk "fmt ".
        start: where they begin in the file.
        held: those that are there.
        promised: those that the header says; None if it does not know: a recorder wrote to a pipe or was killed.
    """

    kind: bytes
    format: bytes
    start: int
    held: int
    promised: int | None

    @property
    def cut_off(self) -> bool:
        """Whether some are missing. A recorder that counts its own header as sound is forgiven."""
        return self.promised is not None and self.promised - self.held > self.start


def wav_samples(file: BinaryIO) -> WavSamples | None:
    """Find the samples of an open WAV file by walking its chunks; None for a file of another kind."""
    end = file.seek(0, os.SEEK_END)
    head = _read(file, 0, 12)
    kind, order = head[:4], ORDERS.get(head[:4], "")
    if not order or head[8:] != b"WAVE":
        return None
    # Walk up to the samples. RF64 (EBU Tech 3306) keeps sizes of 64 bits in a chunk of their own.
    place, sound_format, wide = 12, b"", None
    for _ in range(MOST_CHUNKS):
        chunk = _read(file, place, 8)
        if len(chunk) < 8:
            return None
        name, size = struct.unpack(f"{order}4sI", chunk)
        place += 8
        if name == b"data":
            break
        if name == b"fmt ":
            sound_format = _read(file, place, min(size, 1 << 16))
        if name == b"ds64" and kind == b"RF64":
            wide = int.from_bytes(_read(file, place + 8, 8), "little")
        place += size + size % 2  # a chunk of odd size is padded
    else:
        return None
    # Judge the size that is promised.
    held = end - place
    if wide is not None and size in (0, 0xFFFFFFFF):
        size, known = wide, 0 < wide < PLACEHOLDER_64
    elif size == 0:
        known = _only_chunks(file, place, end, order)
    else:
        known = size <= held or size < PLACEHOLDER
    return WavSamples(kind, sound_format, place, min(held, size) if known else held, size if known else None)


class PlainWav(io.RawIOBase):
    """The samples of an open WAV file behind a header that is short and true, as a file to read."""

    def __init__(self, file: BinaryIO, samples: WavSamples):
        super().__init__()
        small = samples.held < MOST_32
        kind = b"RIFX" if samples.kind == b"RIFX" else b"RIFF" if small else b"RF64"
        number = struct.Struct(f"{ORDERS[kind]}I")
        content = b"fmt " + number.pack(len(samples.format)) + samples.format
        content += bytes(len(content) % 2) + b"data" + number.pack(samples.held if small else 0xFFFFFFFF)
        if kind == b"RF64":
            content = (
                struct.pack("<4sI3QI", b"ds64", 28, len(content) + 40 + samples.held, samples.held, 0, 0) + content
            )
        size = 4 + len(content) + samples.held
        self.header = kind + number.pack(min(size, 0xFFFFFFFF)) + b"WAVE" + content
        self.file, self.start, self.place = file, samples.start, 0
        self.size = len(self.header) + samples.held

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.place, os.SEEK_END: self.size}[whence]
        return self.place

    def readinto(self, buffer) -> int:
        view = memoryview(buffer).cast("B")
        wanted = max(0, min(len(view), self.size - self.place))
        part = self.header[self.place : self.place + wanted]
        if len(part) < wanted:
            part += _read(self.file, self.start + max(0, self.place - len(self.header)), wanted - len(part))
        view[: len(part)] = part
        self.place += len(part)
        return len(part)


def _read(file: BinaryIO, place: int, size: int) -> bytes:
    file.seek(place)
    return file.read(size)


def _only_chunks(file: BinaryIO, place: int, end: int, order: str) -> bool:
    """Whether nothing but whole chunks is left: then the size 0 before it is true."""
    for _ in range(MOST_CHUNKS):
        if place >= end:
            return True
        chunk = _read(file, place, 8)
        if len(chunk) < 8 or not all(32 <= letter < 127 for letter in chunk[:4]):
            return False
        size = struct.unpack(f"{order}I", chunk[4:])[0]
        place += 8 + size + size % 2
        if place > end + 1:  # the last padding may be missing
            return False
    return False
