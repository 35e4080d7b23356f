"""The spoken lines of two old adventure games, in hours of English by actors: recorded speech to train streaming models on.

Both games may be given away, and Debian has packages of them. What is where in their files is known from the engine that plays them,
ScummVM (https://github.com/scummvm/scummvm: ``engines/queen/resource.cpp``, ``engines/sky/disk.cpp``); how *Beneath a Steel Sky* is packed,
from Simon Tatham's account of Rob Northen's method 1 (``dernc``).
"""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from kws.scenes.queen import queen_lines


class DamagedFile(ValueError):
    """A file that is not what it should be; the message names it."""


RATE = 11_025  # Hz, of both games
SKY_SPEECH = range(50_000, 55_000)  # numbers of the files that are lines
SKY_HEADER = 22  # bytes, never packed

Line = tuple[str, np.ndarray]


def lines_of_the_queen(path: str | Path) -> Iterator[Line]:
    """Name and sound (samples,) float at 11,025 Hz of each line in ``queen.1c`` of *Flight of the Amazon Queen*. Raises ``ValueError`` for another file."""
    for line in queen_lines(path):
        yield line.name, soundfile.read(io.BytesIO(line.mp3))[0]


def sky_lines(path: str | Path) -> Iterator[Line]:
    """The same of ``sky.dsk``, with ``sky.dnr`` beside it, of *Beneath a Steel Sky*; lines are 8 bits a sample, packed.

    ``sky.dnr`` holds for each file its number (2 bytes), place (3) and length with flags (3). Raises ``DamagedFile`` for other files.
    """
    packed, index = Path(path).read_bytes(), Path(path).with_suffix(".dnr").read_bytes()
    if len(index) != 4 + 8 * int.from_bytes(index[:4], "little"):
        raise DamagedFile(f"{path}: sky.dnr beside it is not of Beneath a Steel Sky")
    for i in range(4, len(index), 8):
        number, start, size = (
            int.from_bytes(index[a:b], "little") for a, b in ((i, i + 2), (i + 2, i + 5), (i + 5, i + 8))
        )
        start, size = (start & 0x7FFFFF) << (4 if start & 0x800000 else 0), size & 0x3FFFFF
        if number in SKY_SPEECH:
            body = packed[start + SKY_HEADER : start + size]
            samples = unpack_rnc(body) if body[:4] == b"RNC\1" else body
            yield str(number), (np.frombuffer(samples, np.uint8) - 128.0) / 128


def unpack_rnc(packed: bytes) -> bytes:
    """What Rob Northen's method 1 packed: literal bytes among which a bit stream says how many come, and what to repeat from before.

    Raises ``DamagedFile`` if it is damaged.
    """
    size, bits, unpacked = int.from_bytes(packed[4:8], "big"), _Bits(packed), bytearray()
    bits.take(2)
    try:
        while len(unpacked) < size:
            literals, distances, lengths = (_Codes(bits) for _ in range(3))
            for left in range(bits.take(16), 0, -1):
                if count := literals.read(bits):
                    unpacked += bits.bytes(count)
                if left > 1:
                    distance, length = distances.read(bits) + 1, lengths.read(bits) + 2
                    for _ in range(length):
                        unpacked.append(unpacked[-distance])
    except (KeyError, IndexError) as error:
        raise DamagedFile(f"packed data of {size} bytes is damaged after {len(unpacked)}") from error
    return bytes(unpacked)


class _Bits:
    """Bits in words of 16, lowest first; bytes between them start after the last word that was begun."""

    def __init__(self, packed: bytes):
        self.packed, self.next, self.held, self.count = packed, 18, 0, 0

    def take(self, count: int) -> int:
        while self.count < count:
            if self.next > len(self.packed):
                raise IndexError(self.next)
            self.held |= int.from_bytes(self.packed[self.next : self.next + 2], "little") << self.count
            self.next, self.count = self.next + 2, self.count + 16
        value, self.held, self.count = self.held & ((1 << count) - 1), self.held >> count, self.count - count
        return value

    def bytes(self, count: int) -> bytes:
        self.next += count
        return self.packed[self.next - count : self.next]


class _Codes:
    """Huffman codes, their lengths read from the stream, of numbers: 0, 1, or of so many bits, the highest of which is 1."""

    def __init__(self, bits: _Bits):
        lengths = [bits.take(4) for _ in range(bits.take(5))]
        self.symbols, code = {}, 0
        for length in range(1, max(lengths, default=0) + 1):
            for symbol, its in enumerate(lengths):
                if its == length:
                    self.symbols[length, code] = symbol
                    code += 1
            code <<= 1

    def read(self, bits: _Bits) -> int:
        code = 0
        for length in range(1, 17):
            code = code << 1 | bits.take(1)
            if (length, code) in self.symbols:
                symbol = self.symbols[length, code]
                return symbol if symbol < 2 else 1 << (symbol - 1) | bits.take(symbol - 1)
        raise KeyError(code)


def save_lines(path: str | Path, folder: str | Path) -> int:
    """Write each line of ``queen.1c`` or ``sky.dsk`` as FLAC into a folder, and say how many there were. Raises ``ValueError`` as reading does."""
    lines = {"queen.1c": lines_of_the_queen, "sky.dsk": sky_lines}
    if Path(path).name not in lines:
        raise DamagedFile(f"{path}: give {' or '.join(lines)}")
    Path(folder).mkdir(parents=True, exist_ok=True)
    count = 0
    for name, sound in tqdm(lines[Path(path).name](path), f"lines of {Path(path).name}", unit="line"):
        soundfile.write(Path(folder) / f"{name}.flac", sound, RATE)
        count += 1
    return count


if __name__ == "__main__":
    try:
        print(f"{save_lines(*sys.argv[1:3])} lines")
    except (ValueError, OSError, TypeError) as error:
        print(f"python -m recipes.game_speech FILE FOLDER: {error}", file=sys.stderr)
        sys.exit(2)
