"""The microphone: of any sample rate, chosen by name or number, and errors without a traceback."""

import contextlib
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import WEIGHTS

from kws.report.command import main
from kws.streaming.model import save_stream, streaming_model


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A model that reports whatever is not silence."""
    path = tmp_path_factory.mktemp("model") / "m.pt"
    save_stream(streaming_model(WEIGHTS / "beyond.pt", threshold=0.0), path)
    return path


def noise(seconds: float, rate: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(int(seconds * rate)).astype(np.float32)


class PortAudioError(Exception):
    pass


class Microphone:
    """What ``sounddevice`` offers, with a device that hears a given waveform (samples,) of its own rate, and then is unplugged."""

    PortAudioError = PortAudioError

    def __init__(self, waveform, rate, channels=1, takes=()):
        self.waveform, self.rate, self.channels, self.takes = waveform, rate, channels, takes
        self.opened = []

    def query_devices(self, device=None, kind=None):
        own = {"name": "USB mic", "max_input_channels": self.channels, "default_samplerate": float(self.rate)}
        speaker = {"name": "speaker", "max_input_channels": 0, "default_samplerate": 48_000.0}
        if device is None and kind is None:
            return [speaker, own]
        if device not in (None, 1, "USB"):
            raise ValueError(f"No input device matching {device!r}")
        return own

    def InputStream(self, samplerate, channels, dtype, device=None):
        self.query_devices(device, "input")
        self.opened.append((samplerate, channels, device))
        if samplerate != self.rate and samplerate not in self.takes:
            raise PortAudioError("Invalid sample rate")
        if channels != self.channels:
            raise PortAudioError("Invalid number of channels")
        return contextlib.nullcontext(self)

    def read(self, size):
        block, self.waveform = self.waveform[:size], self.waveform[size:]
        if not len(block):
            raise PortAudioError("Device unavailable")
        return np.repeat(block[:, None], self.channels, 1), False


def heard_by(model, microphone, monkeypatch, capsys, *arguments) -> tuple[list[float], str]:
    monkeypatch.setitem(sys.modules, "sounddevice", microphone)
    assert main(["listen", str(model), "--threshold", "0", *arguments]) == 2  # it was unplugged
    output = capsys.readouterr()
    return [float(line.split()[0]) for line in output.out.splitlines()], output.err


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 1), (48_000, 2)])
def test_a_microphone_of_any_rate(model, monkeypatch, capsys, rate, channels):
    microphone = Microphone(noise(4.5, rate), rate, channels)
    times, error = heard_by(model, microphone, monkeypatch, capsys)
    assert len(times) == 5
    np.testing.assert_allclose(np.diff(times), 1.0, atol=0.06)
    assert "Device unavailable" in error
    assert microphone.opened[-1] == (rate, channels, None)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_bad_block_does_not_end_the_microphone(model, monkeypatch, capsys, value):
    waveform = noise(4.5, 16_000)
    waveform[20_000:22_000] = value
    times, error = heard_by(model, Microphone(waveform, 16_000), monkeypatch, capsys)
    assert len(times) == 5
    assert error.count("no numbers") == 1


@pytest.mark.parametrize(("device", "chosen"), [("1", 1), ("USB", "USB")])
def test_a_device_can_be_chosen(model, monkeypatch, capsys, device, chosen):
    microphone = Microphone(noise(1.5, 48_000), 48_000)
    times, _ = heard_by(model, microphone, monkeypatch, capsys, "--device", device)
    assert len(times) == 2
    assert {opened[2] for opened in microphone.opened} == {chosen}


def test_wrong_devices_are_told_and_those_there_are_listed(model, monkeypatch, capsys):
    microphone = Microphone(noise(1, 16_000), 16_000)
    _, error = heard_by(model, microphone, monkeypatch, capsys, "--device", "9")
    assert "'9' cannot be heard (No input device matching 9); --list-devices" in error
    assert main(["listen", "--list-devices"]) == 0
    assert capsys.readouterr().out == "  1  USB mic  (16000 Hz)\n"
    assert main(["listen", str(model), "a.wav", "--device", "1"]) == 2
    assert "--device is for the microphone" in capsys.readouterr().err


def test_no_microphone_is_told(model, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)  # as if it were not installed
    assert main(["listen", str(model)]) == 2
    assert "pip install sounddevice" in capsys.readouterr().err
