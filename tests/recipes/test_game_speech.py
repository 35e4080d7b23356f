"""Lines are found in the files of two games and saved; a packer written apart tells whether they are unpacked as they were packed."""

import io
import struct

import numpy as np
import pytest
import soundfile

from recipes.game_speech import RATE, DamagedFile, save_lines, sky_lines, unpack_rnc


class Packer:
    """Northen's method 1 with codes of four bits for all numbers; a chunk is literals and (distance, length) of what is said again, in turn."""

    def __init__(self) -> None:
        self.packed, self.plain, self.word, self.left = bytearray(b"RNC\1" + bytes(14)), bytearray(), 0, 0
        self.put(0, 2)

    def put(self, value: int, count: int) -> None:
        for i in range(count):
            if not self.left:
                self.word, self.left = len(self.packed), 16
                self.packed += bytes(2)
            place = 16 - self.left
            self.packed[self.word + place // 8] |= (value >> i & 1) << place % 8
            self.left -= 1

    def number(self, value: int) -> None:
        symbol = value.bit_length()
        self.put(int(f"{symbol:04b}"[::-1], 2), 4)
        if symbol > 1:
            self.put(value - (1 << symbol - 1), symbol - 1)

    def chunk(self, pairs: list[tuple[bytes, tuple[int, int] | None]]) -> None:
        for _ in range(3):
            self.put(16, 5)
            for _ in range(16):
                self.put(4, 4)
        self.put(len(pairs), 16)
        for literals, again in pairs:
            self.number(len(literals))
            self.packed += literals
            self.plain += literals
            if again:
                distance, length = again
                self.number(distance - 1)
                self.number(length - 2)
                for _ in range(length):
                    self.plain += self.plain[-distance:][:1]
        self.packed[4:8] = struct.pack(">I", len(self.plain))


def packer() -> Packer:
    drawn = np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8).tobytes()
    packer = Packer()
    packer.chunk([(drawn[:200], (200, 250)), (drawn[200:237], (1, 5)), (b"", (3, 9)), (drawn[300:301], None)])
    packer.chunk([(drawn[400:], (4000, 2)), (b"", None)])
    return packer


def test_what_is_unpacked_was_packed():
    packed = packer()
    assert len(packed.plain) == 200 + 250 + 37 + 5 + 9 + 1 + 4600 + 2
    assert unpack_rnc(bytes(packed.packed)) == packed.plain


def test_damaged():
    packed = packer().packed
    packed[18:] = bytes(len(packed) - 18)
    with pytest.raises(DamagedFile, match="damaged after"):
        unpack_rnc(bytes(packed))


def write_queen(path) -> np.ndarray:
    """Two lines and another file."""
    sound = 0.5 * np.sin(np.arange(RATE) / 5)
    mp3 = io.BytesIO()
    soundfile.write(mp3, sound, RATE, format="MP3")
    files = [(b"020001P2.SB", mp3.getvalue()), (b"LOGO.PCX", b"picture"), (b"C69A_151.SB", mp3.getvalue())]
    place, index = 15 + 21 * len(files), b""
    for name, content in files:
        index += struct.pack(">12sBII", name, 1, place, len(content))
        place += len(content)
    path.write_bytes(b"QTBLCEM10" + bytes(4) + struct.pack(">H", len(files)) + index + b"".join(f[1] for f in files))
    return sound


def test_lines_of_the_queen_are_saved(tmp_path):
    sound = write_queen(tmp_path / "queen.1c")
    assert save_lines(tmp_path / "queen.1c", tmp_path / "lines") == 2
    assert sorted(p.name for p in (tmp_path / "lines").iterdir()) == ["020001P2.flac", "C69A_151.flac"]
    saved, rate = soundfile.read(tmp_path / "lines" / "C69A_151.flac")
    assert rate == RATE
    assert np.corrcoef(saved[: RATE // 2], sound[: RATE // 2])[0, 1] > 0.99


def test_lines_of_the_sky(tmp_path):
    """A packed line, one that is not, far into the file, and a file that is no line."""
    packed = packer()
    header = bytes(22)
    first, plain = header + packed.packed, header + bytes([128, 192, 64, 0])
    start = 16 * (len(first) // 16 + 1)
    (tmp_path / "sky.dsk").write_bytes(first.ljust(start, b"\0") + plain)
    index = [(50_001, 0, len(first)), (123, 0, 4), (50_002, 1 << 23 | start // 16, 1 << 22 | len(plain))]
    entries = [b"".join(x.to_bytes(n, "little") for x, n in zip(entry, (2, 3, 3), strict=True)) for entry in index]
    (tmp_path / "sky.dnr").write_bytes(struct.pack("<I", 3) + b"".join(entries))
    lines = dict(sky_lines(tmp_path / "sky.dsk"))
    assert [*lines] == ["50001", "50002"]
    assert (lines["50001"] * 128 + 128).astype(np.uint8).tobytes() == packed.plain
    assert lines["50002"].tolist() == [0, 0.5, -0.5, -1]


def test_other_files_are_refused(tmp_path):
    for name in ("queen.1c", "sky.dsk", "sky.dnr", "readme"):
        (tmp_path / name).write_bytes(b"something else")
    for name, wrong in (
        ("queen.1c", "not queen.1c of"),
        ("sky.dsk", "not of Beneath"),
        ("readme", "give queen.1c or sky.dsk"),
    ):
        with pytest.raises(ValueError, match=wrong):
            save_lines(tmp_path / name, tmp_path / "lines")
