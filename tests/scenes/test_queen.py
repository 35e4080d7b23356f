"""The lines in the one file of a game, and recorded speech that comes out of it."""

import io
import struct

import numpy as np
import pytest
import soundfile
import torch

from kws.data.corpus import CorpusError
from kws.scenes.queen import QUEEN, queen_lines, read_line
from kws.scenes.recorded import recorded_phrases

RATE = 11_025


def write_queen(path, *lines: bytes) -> None:
    """A file of a picture and these lines."""
    files = [(b"LOGO.PCX", b"picture"), *((f"02000{i}P1.SB".encode(), line) for i, line in enumerate(lines))]
    place, index = 15 + 21 * len(files), b""
    for name, content in files:
        index += struct.pack(">12sBII", name, 1, place, len(content))
        place += len(content)
    path.write_bytes(b"QTBLCEM10" + bytes(4) + struct.pack(">H", len(files)) + index + b"".join(f[1] for f in files))


def mp3(hertz: float) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, 0.5 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE), RATE, format="MP3")
    return file.getvalue()


def test_lines_are_read_at_16_khz(tmp_path):
    write_queen(tmp_path / QUEEN, mp3(400), mp3(900))
    lines = queen_lines(tmp_path / QUEEN)
    assert [line.name for line in lines] == ["020000P1", "020001P1"]
    for line, hertz in zip(lines, (400, 900), strict=True):
        sound = read_line(line)
        assert len(sound) == pytest.approx(16_000, rel=0.1)
        second = torch.fft.rfft(sound[2000:10_000], 16_000).abs()
        assert int(second.argmax()) == pytest.approx(hertz, abs=2)


def test_recorded_speech_comes_out_of_it_beside_other_files(tmp_path, capsys):
    (tmp_path / "speech" / "game").mkdir(parents=True)
    write_queen(tmp_path / "speech" / "game" / QUEEN, mp3(400), b"no sound", mp3(900))
    assert len(recorded_phrases(tmp_path / "speech", cache=tmp_path)) == 2
    assert "line 020001P1 cannot be read" in capsys.readouterr().out
    soundfile.write(tmp_path / "speech" / "one.wav", 0.5 * np.sin(np.arange(16_000)), 16_000)
    assert len(recorded_phrases(tmp_path / "speech")) == 3
    assert recorded_phrases(tmp_path / "speech", "validation") == []


def test_other_files_are_refused(tmp_path):
    path = tmp_path / QUEEN
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="not queen.1c of"):
        queen_lines(path)
    write_queen(path, mp3(400))
    for left in (-100, 30):  # amid the lines, and amid their list
        path.write_bytes(path.read_bytes()[:left])
        with pytest.raises(ValueError, match="cut off"):
            queen_lines(path)
    (tmp_path / "game").mkdir()
    soundfile.write(tmp_path / "game" / "one.wav", 0.5 * np.sin(np.arange(16_000)), 16_000)
    assert len(recorded_phrases(tmp_path)) == 1
    (tmp_path / "game" / "one.wav").unlink()
    write_queen(path, b"no sound")
    with pytest.raises(CorpusError, match="none of the 1 recordings can be read"):
        recorded_phrases(tmp_path)
