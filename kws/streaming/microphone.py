"""The microphone in blocks, by the package sounddevice (PortAudio), whatever sample rate the device has."""

import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np

from kws.data.audio import SAMPLE_RATE, resampled

BLOCK_SECONDS = 0.2
LOUDEST = 1e6  # samples beyond are bounded, as in a file


def microphone_blocks(device: str | None = None) -> Iterator[np.ndarray]:
    """Blocks (samples,) float32 at 16 kHz mono, for ever. ``device`` is a number or a part of a name; None is the system's default.

    Samples that are no numbers are heard as silence. Raises ``ValueError`` if there is no such device or it cannot be opened.
    """
    sounddevice = _sounddevice()
    chosen = int(device) if device and device.isdecimal() else device
    try:
        stream, rate = _opened(sounddevice, chosen)
        with stream as opened:
            yield from resampled(_read(opened, int(BLOCK_SECONDS * rate)), rate)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise ValueError(
            f"the microphone{'' if device is None else f' {device!r}'} cannot be heard ({error}); --list-devices"
            " shows those that there are; or name a FILE, or - for standard input"
        ) from error


def list_microphones() -> Iterator[str]:
    """A line for each device that hears: its number, its name and its own sample rate."""
    for number, about in enumerate(_sounddevice().query_devices()):
        if about["max_input_channels"] > 0:
            yield f"{number:3}  {about['name']}  ({about['default_samplerate']:.0f} Hz)"


def _sounddevice() -> ModuleType:
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the package is there, the library PortAudio is not
        raise ValueError(
            f"the microphone needs the package sounddevice and the library PortAudio ({error}): pip install sounddevice"
            " (on Debian also: apt install libportaudio2), or name a FILE, or - for standard input"
        ) from error
    return sounddevice


def _opened(sounddevice: ModuleType, device: int | str | None) -> tuple:
    """The stream of a device and its sample rate: 16 kHz mono, else what the device itself has."""

    def stream(rate: float, channels: int):
        return sounddevice.InputStream(samplerate=rate, channels=channels, dtype="float32", device=device)

    try:
        return stream(SAMPLE_RATE, 1), SAMPLE_RATE
    except sounddevice.PortAudioError:
        about = sounddevice.query_devices(device, "input")
    rate = about["default_samplerate"]
    try:
        return stream(rate, 1), rate
    except sounddevice.PortAudioError:
        return stream(rate, about["max_input_channels"]), rate


def _read(stream, size: int) -> Iterator[np.ndarray]:
    told = False
    while True:
        block, _ = stream.read(size)
        numbers = np.isfinite(block)
        if not numbers.all():
            if not told:
                print(
                    "note: the microphone gave samples that are no numbers; they are heard as silence", file=sys.stderr
                )
            told, block = True, np.where(numbers, block, 0)
        yield block.clip(-LOUDEST, LOUDEST).mean(1)
