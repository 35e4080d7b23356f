"""One reader for every sound file: whole or in blocks, of any rate, whatever its header says."""

import os
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
import torch
from conftest import tone

from kws.data.audio import AudioError, CutOffError, file_blocks, read_audio, resampled

SAMPLES = 2 * tone(440, 24_000).astype(np.float32)  # some are beyond 1
UNKNOWN = (0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFF)


def blocks(path) -> np.ndarray:
    return np.concatenate(list(file_blocks(path)))


def chunk(name: bytes, content: bytes, order: str = "<") -> bytes:
    return name + struct.pack(f"{order}I", len(content)) + content + bytes(len(content) % 2)


def written(tmp_path, **how) -> bytes:
    soundfile.write(tmp_path / "whole.wav", SAMPLES, 16_000, **how)
    return (tmp_path / "whole.wav").read_bytes()


def with_sizes(wav: bytes, riff: int, data: int) -> bytes:
    place = wav.rindex(b"data", 0, len(wav) - 2 * len(SAMPLES)) + 4
    return wav[:4] + struct.pack("<I", riff) + wav[8:place] + struct.pack("<I", data) + wav[place + 4 :]


@pytest.mark.parametrize("channels", [1, 2, 3, 9])
@pytest.mark.parametrize(
    "how",
    [
        {"format": "WAV", "subtype": "PCM_16"},
        {"format": "WAV", "subtype": "FLOAT"},
        {"format": "FLAC", "subtype": "PCM_24"},
        {"format": "OGG", "subtype": "VORBIS"},
    ],
)
def test_at_16_khz_the_samples_are_those_of_the_file(tmp_path, channels, how):
    if channels == 9 and how["format"] == "FLAC":
        pytest.skip("a FLAC has at most 8 channels")
    sound = SAMPLES[:, None] * np.linspace(1, 0.3, channels, dtype=np.float32)
    soundfile.write(tmp_path / "a", np.tile(sound, (6, 1)), 16_000, **how)  # 9 s: several blocks
    expected = soundfile.read(tmp_path / "a", dtype="float32", always_2d=True)[0].mean(1)
    assert torch.equal(read_audio(tmp_path / "a"), torch.from_numpy(expected).clamp(-1, 1))
    np.testing.assert_array_equal(blocks(tmp_path / "a"), expected)


@pytest.mark.parametrize("rate", [1_000, 8_000, 11_127, 16_001, 44_100, 44_101, 999_983, 1_000_000])
def test_any_rate_takes_little_memory_and_gives_the_same_sound(tmp_path, rate):
    frequency = 300
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * frequency * np.arange(rate) / rate), rate)
    tracemalloc.start()
    waveform = read_audio(tmp_path / "a.wav").numpy()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6
    assert abs(len(waveform) - 16_000) <= 1
    expected = 0.5 * np.sin(2 * np.pi * frequency * np.arange(len(waveform)) / 16_000)
    np.testing.assert_allclose(waveform[1_000:-1_000], expected[1_000:-1_000], atol=2e-3)


def test_of_a_sample_at_a_high_rate_a_sample_is_left(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(1), 192_000)
    assert len(read_audio(tmp_path / "a.wav")) == 1


def test_resampling_does_not_depend_on_the_blocks():
    waveform = tone(440, 132_300).astype(np.float32)
    whole = np.concatenate(list(resampled([waveform], 44_100)))
    cut = np.concatenate(list(resampled(np.split(waveform, [10, 10, 5_000, 90_001]), 44_100)))
    np.testing.assert_allclose(cut, whole, atol=1e-6)
    assert abs(len(whole) - 48_000) <= 1


@pytest.mark.parametrize("rate", [1, 999, 1_000_001, 0x7FFFFFFF])
def test_a_rate_that_no_sound_has_is_refused(tmp_path, rate):
    wav = written(tmp_path)
    (tmp_path / "a.wav").write_bytes(wav[:24] + struct.pack("<I", rate) + wav[28:])
    with pytest.raises(AudioError, match=f"a.wav: its header says {rate:,} samples a second"):
        read_audio(tmp_path / "a.wav")


def test_a_flac_of_unknown_length_is_read(tmp_path):
    soundfile.write(tmp_path / "a.flac", SAMPLES, 16_000)
    known = read_audio(tmp_path / "a.flac")
    flac = bytearray((tmp_path / "a.flac").read_bytes())
    flac[21] &= 0xF0  # the number of samples, 36 bits
    flac[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(flac)
    assert torch.equal(read_audio(tmp_path / "a.flac"), known)
    np.testing.assert_array_equal(blocks(tmp_path / "a.flac").clip(-1, 1), known)


@pytest.mark.parametrize("riff", [0, 8, 36, 0x80000024, 0xFFFFFFFF])
@pytest.mark.parametrize("data", UNKNOWN)
def test_a_wav_that_was_written_to_a_pipe_is_whole(tmp_path, riff, data):
    wav = written(tmp_path, subtype="PCM_16")
    (tmp_path / "a.wav").write_bytes(with_sizes(wav, riff, data))
    np.testing.assert_array_equal(blocks(tmp_path / "a.wav"), blocks(tmp_path / "whole.wav"))
    assert torch.equal(read_audio(tmp_path / "a.wav"), read_audio(tmp_path / "whole.wav"))


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT", "DOUBLE", "ULAW"])
@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("size", [None, 0, 0xFFFFFFFF])
def test_chunks_before_and_after_the_samples(tmp_path, subtype, form, size):
    """Names of chunks in comments, and odd lengths with their padding; sizes of 64 bits."""
    wav = written(tmp_path, subtype=subtype, format=form)
    place = wav.index(b"data")
    comment = chunk(b"LIST", b"INFO" + chunk(b"ICMT", b"the data\0")[:-1])
    wav = wav[:place] + chunk(b"JUNK", b"data" * 7) + comment + wav[place:]
    place += 36 + len(comment)
    if size is None:
        wav += comment
    elif form == "RF64":
        wide = wav.index(b"ds64") + 16
        wav = wav[:wide] + struct.pack("<Q", size << 32) + wav[wide + 8 :]
    else:
        wav = wav[: place + 4] + struct.pack("<I", size) + wav[place + 8 :]
    (tmp_path / "a.wav").write_bytes(wav)
    np.testing.assert_array_equal(blocks(tmp_path / "a.wav"), blocks(tmp_path / "whole.wav"))


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT", "ALAW", "IMA_ADPCM"])
@pytest.mark.parametrize("form", ["WAV", "RF64"])
def test_a_wav_that_was_cut_off_tells_it_after_what_there_is(tmp_path, subtype, form):
    if (form, subtype) == ("RF64", "IMA_ADPCM"):
        pytest.skip("libsndfile does not write it")
    wav = written(tmp_path, subtype=subtype, format=form)
    (tmp_path / "a.wav").write_bytes(wav[: len(wav) // 2])
    heard = []
    with pytest.raises(CutOffError, match=r"a.wav: cut off: it holds 0.7 s of the 1.5 s|0.8 s of the 1.5 s"):
        heard.extend(file_blocks(tmp_path / "a.wav"))
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav"), np.concatenate(heard).clip(-1, 1))


def test_a_recorder_that_counts_its_header_is_forgiven(tmp_path):
    wav = written(tmp_path)
    (tmp_path / "a.wav").write_bytes(with_sizes(wav, len(wav), len(wav)))
    np.testing.assert_array_equal(blocks(tmp_path / "a.wav"), blocks(tmp_path / "whole.wav"))


@pytest.mark.parametrize("after", [b"", chunk(b"LIST", b"INFO")])
def test_an_empty_wav_is_empty(tmp_path, after):
    wav = written(tmp_path)
    (tmp_path / "a.wav").write_bytes(wav[:40] + bytes(4) + after)
    with pytest.raises(AudioError, match="holds no samples"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"no sound", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVE" + 9000 * b"JUNK\0\0\0\0"]
)
def test_what_is_no_sound_is_named(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(AudioError, match="a.wav: not a readable sound file"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(tmp_path, value):
    sound = np.zeros((50_000, 2), np.float32)
    sound[40_000, 1] = value
    soundfile.write(tmp_path / "a.wav", sound, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="a.wav: holds NaN or infinite samples after 2.0 s"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize(
    "error", [MemoryError, OverflowError, ValueError, TypeError, OSError, RuntimeError, AssertionError]
)
def test_any_error_of_a_file_names_it(tmp_path, monkeypatch, error):
    soundfile.write(tmp_path / "a.wav", SAMPLES, 16_000)

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(soundfile.SoundFile, "read", fail)
    with pytest.raises(AudioError, match=rf"a.wav: .*\({error.__name__}\)"):
        read_audio(tmp_path / "a.wav")


def test_what_is_no_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    reasons = {
        "none.wav": "there is no such sound file",
        "folder.wav": "a folder, not a sound file",
        "pipe.wav": "a pipe or a device, not a sound file",
        "loop.wav": "cannot be read",
        "x" * 300: "cannot be read",
        "\0.wav": "cannot be read",
    }
    for name, reason in reasons.items():
        with pytest.raises(AudioError, match=reason):
            read_audio(tmp_path / name)


def test_a_name_may_hold_any_bytes(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"\xff\xe9.wav")
    soundfile.write(tmp_path / "a.wav", SAMPLES, 16_000)
    try:
        os.rename(tmp_path / "a.wav", path)
    except OSError:
        pytest.skip("this file system takes no such name")
    assert len(read_audio(os.fsdecode(path))) == len(SAMPLES)
