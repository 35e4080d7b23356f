"""``kws listen``: any sound in, detections out, errors without a traceback."""

import fcntl
import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import ROOT

from kws.report.command import main
from kws.streaming.listen import live_line, with_silence
from kws.streaming.model import StreamingModel, save_stream, streaming_model

WEIGHTS = ROOT / "weights" / "happy"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A model that reports whatever is not silence."""
    path = tmp_path_factory.mktemp("model") / "m.pt"
    save_stream(streaming_model(WEIGHTS / "beyond.pt", threshold=0.0), path)
    return path


def noise(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((int(seconds * rate), channels)).astype(np.float32)


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (8_000, 1), (48_000, 3)])
def test_a_file_of_any_rate(model, tmp_path, capsys, rate, channels):
    soundfile.write(tmp_path / "a.wav", noise(5, rate, channels), rate)
    assert main(["listen", str(model), str(tmp_path / "a.wav"), "--threshold", "0", "--hold-off", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    times = [float(line.split()[0]) for line in lines]
    np.testing.assert_allclose(np.diff(times), 1.0, atol=0.06)
    assert len(lines) == 6  # five seconds and the silence after them
    assert all(
        line.split()[1] == "s" and 0 <= float(line.split()[2]) <= 1 and line.split()[3] == "happy" for line in lines
    )


def test_raw_samples_from_standard_input(model):
    samples = (noise(2, 16_000)[:, 0] * 32767).astype("<i2")
    command = [sys.executable, "-m", "kws", "listen", str(model), "-", "--threshold", "0"]
    done = subprocess.run(command, input=samples.tobytes() + b"x", cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.decode().splitlines()) == 3


def test_a_sound_file_on_standard_input_is_refused(model, tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(1, 16_000), 16_000)
    command = [sys.executable, "-m", "kws", "listen", str(model), "-"]
    done = subprocess.run(command, input=(tmp_path / "a.wav").read_bytes(), cwd=ROOT, capture_output=True)
    assert done.returncode == 2
    assert b"is a sound file" in done.stderr


def test_options_may_stand_anywhere(model, tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", noise(2, 16_000), 16_000)
    assert main(["listen", str(model), "--threshold", "0", str(tmp_path / "a.wav")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_wav_of_a_pipe_or_with_a_comment_is_whole(model, tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", noise(2, 16_000), 16_000)
    wav = (tmp_path / "a.wav").read_bytes()
    comment = b"LIST" + struct.pack("<I", 26) + b"INFOICMT" + struct.pack("<I", 14) + b"training data\0"
    piped = wav[:4] + struct.pack("<I", 0x80000024) + wav[8:40] + struct.pack("<I", 0x80000000) + wav[44:]
    for content in (wav[:36] + comment + wav[36:], piped):
        (tmp_path / "a.wav").write_bytes(content)
        assert main(["listen", str(model), str(tmp_path / "a.wav"), "--threshold", "0"]) == 0
        output = capsys.readouterr()
        assert (len(output.out.splitlines()), output.err) == (3, "")  # two seconds, and the silence after them


@pytest.mark.parametrize("name", ["a.flac", "a.wav"])
def test_a_file_that_ends_early_says_where(model, tmp_path, capsys, name):
    soundfile.write(tmp_path / name, noise(20, 16_000), 16_000)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    assert main(["listen", str(model), str(tmp_path / name), "--threshold", "0"]) == 2
    output = capsys.readouterr()
    assert 5 <= len(output.out.splitlines()) <= 11  # what there is was heard
    assert name in output.err
    assert "cut off" in output.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}/none.pt", "x.wav"], "no such file"),
        (["{folder}/text.wav", "x.wav"], "text.wav"),
        (["{model}", "{folder}/none.wav"], "none.wav: there is no such sound file"),
        (["{model}", "{folder}/text.wav"], "not a readable sound file"),
        (["{model}", "{folder}/nan.wav"], "NaN"),
        (["{model}", "{folder}/empty.wav"], "no samples"),
        (["{model}", "{folder}/samples.raw"], "standard input"),
        (["{folder}/stream.onnx", "{folder}/text.wav"], "OnnxStream"),
        (["{model}", "-", "--rate", "5"], "--rate is 5"),
        (["{model}", "{folder}/text.wav", "--rate", "8000"], "tells its own"),
        (["{model}", "{folder}/text.wav", "--threshold", "7"], "threshold must be"),
        (["{weights}/tc_resnet8.pt", "{folder}/text.wav"], "only a CRNN"),
    ],
)
def test_errors_are_told_without_a_traceback(model, tmp_path, capsys, arguments, message):
    (tmp_path / "text.wav").write_text("this is no sound")
    soundfile.write(tmp_path / "nan.wav", np.full(16_000, np.nan, np.float32), 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    (tmp_path / "samples.raw").write_bytes(bytes(32_000))
    (tmp_path / "stream.onnx").write_bytes(b"onnx")
    assert main(["listen", *(a.format(folder=tmp_path, model=model, weights=WEIGHTS) for a in arguments)]) == 2
    output = capsys.readouterr()
    assert message in output.err
    assert output.out == ""


def test_a_model_that_cannot_be_read_is_told(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "folder.pt").mkdir()
    for name, message in (("pipe.pt", "a pipe or a device, not a file"), ("folder.pt", "a folder, not a file")):
        assert main(["listen", str(tmp_path / name), "a.wav"]) == 2
        assert f"{name}: {message}" in capsys.readouterr().err


def test_a_file_or_folder_without_permission_is_told(model, capsys):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        locked, secret = Path(folder, "locked"), Path(folder, "secret")
        locked.mkdir()
        for place in (locked, Path(folder)):
            shutil.copy(model, place / "m.pt")
            soundfile.write(place / "a.wav", noise(1, 16_000), 16_000)
        shutil.copy(model, Path(folder, "open.pt"))
        for path in (Path(folder, "m.pt"), Path(folder, "a.wav"), locked):
            path.chmod(0)
        cases = [["m.pt", "a.wav"], ["locked/m.pt", "a.wav"], ["open.pt", "a.wav"], ["open.pt", "locked/a.wav"]]
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            told = [
                (main(["listen", *(f"{folder}/{name}" for name in case)]), capsys.readouterr().err) for case in cases
            ]
        finally:
            if root:
                os.seteuid(0)
            locked.chmod(0o700)
    for (status, error), case in zip(told, cases, strict=True):
        name = case[0] if case[0] != "open.pt" else case[1]
        assert (status, error) == (2, f"error: {folder}/{name}: cannot be read (Permission denied)\n"), secret


@pytest.mark.parametrize("columns", [1, 10, 40, 49, 50, 51, 60, 80, 89, 90, 200])
def test_the_live_line_fits_the_terminal(columns):
    for heard in (0, 16_000, 10**11):
        line = live_line(heard, noise(1, 16_000)[:, 0], np.array([0.1, 1.0]), columns)
        assert len(line) < columns or not line
    if columns >= 60:
        assert "probability" in live_line(16_000, np.ones(10), np.array([1.0]), columns)
    if columns >= 90:
        assert live_line(16_000, np.ones(10), np.array([1.0]), columns).count("#" * 20) == 2


def test_in_a_narrow_terminal_no_update_leaves_a_row(model, tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(6, 16_000), 16_000)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
    command = [sys.executable, "-m", "kws", "listen", str(model), str(tmp_path / "a.wav"), "--threshold", "1"]
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs, env=environment, check=True)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    os.close(theirs)
    *updates, last = shown.split("\r\033[K")[1:]
    assert len(updates) >= 3
    assert max(map(len, updates)) == 29
    assert not any("\n" in update for update in updates)
    assert last.strip() == "heard no 'happy'"


def test_a_checkpoint_can_be_listened_with(tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", noise(3, 16_000), 16_000)
    assert main(["listen", str(WEIGHTS / "rnn_int8.pt"), str(tmp_path / "a.wav"), "--threshold", "0"]) == 0
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 4  # three seconds, and the silence after them
    assert "trained on clips" in output.err


def test_what_is_reported_is_what_the_model_says(tmp_path, capsys):
    waveform = noise(4, 16_000)[:, 0]
    soundfile.write(tmp_path / "a.wav", waveform, 16_000, subtype="FLOAT")
    model = streaming_model(WEIGHTS / "beyond.pt", threshold=0.0)
    assert isinstance(model, StreamingModel)
    save_stream(model, tmp_path / "m.pt")
    main(["listen", str(tmp_path / "m.pt"), str(tmp_path / "a.wav"), "--threshold", "0"])
    reported = [line.split() for line in capsys.readouterr().out.splitlines()]
    p = model(torch.cat([torch.from_numpy(waveform), torch.zeros(8_000)]))
    for seconds, _, probability, _ in reported:
        step = round((float(seconds) * 16_000 - model.first_sample) / model.step_samples)
        assert float(probability) == pytest.approx(float(p[step]), abs=6e-4)


def test_memory_stays_flat(model, tmp_path):
    """Ten minutes take as much as one."""
    peaks = {}
    for minutes in (1, 10):
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", 44_100, 1) as file:
            for _ in range(minutes):
                file.write(noise(60, 44_100))
        program = (
            "import resource, sys; from kws.report.command import main; main(['listen', *sys.argv[1:]])"
            "; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
        )
        command = [sys.executable, "-c", program, str(model), str(path), "--threshold", "1"]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=True)
        peaks[minutes] = int(done.stderr.split()[-1])  # kB
    assert peaks[10] - peaks[1] < 20_000


def test_a_word_at_the_end_of_a_sound_is_detected(real_folder, capsys):
    """A word is detected a moment after its end, and a clip ends before that: silence is heard after it."""
    clips = sorted((real_folder / "happy").glob("*.flac"))[:20]
    heard = 0
    for clip in clips:
        assert main(["listen", str(WEIGHTS / "streaming_base.pt"), str(clip)]) == 0
        output = capsys.readouterr()
        heard += bool(output.out)
        assert ("heard no 'happy'" in output.err) == (not output.out)
    assert heard >= 17


def test_half_a_second_of_silence_comes_after_a_sound():
    first, silence = with_silence(iter([np.ones(10, np.float32)]))
    assert len(first) == 10
    assert len(silence) == 8_000
    assert not silence.any()
