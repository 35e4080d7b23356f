"""The espeak-ng speech synthesizer, through ctypes, from the ``espeakng-loader`` wheel (no system package needed).

espeak-ng is licensed under the GPL-3; it is loaded at run time only. The calls are those of its ``speak_lib.h``.
"""

import ctypes
import os
import shutil
import tempfile
import weakref
from functools import partial
from pathlib import Path

import espeakng_loader
import numpy as np

_SYNCHRONOUS = 2
_DO_NOT_EXIT = 0x8000
_UTF8, _PHONEME_INPUT = 0x1, 0x100
_RATE, _PITCH, _PITCH_RANGE = 1, 3, 4

_LONGEST_PATH = 159  # bytes of its data's path that it has room for

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """A synthesizer with a state of its own: the same calls in the same order give the same samples.

    The library keeps hidden state (the flutter of the pitch goes on from word to word) that nothing resets, so each
    instance loads a copy of it.
    """

    def __init__(self) -> None:
        original = Path(espeakng_loader.get_library_path())
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            self._library = library = ctypes.CDLL(shutil.copy(original, folder))
        library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        library.espeak_Synth.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            *[ctypes.c_uint] * 4,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]
        library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        data = Path(espeakng_loader.get_data_path()).absolute()
        if len(os.fsencode(data)) > _LONGEST_PATH:
            data = self._link_to(data)
        self.sample_rate = library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(data), _DO_NOT_EXIT)
        if self.sample_rate <= 0:
            raise RuntimeError(
                f"espeak-ng did not start with its data in {data}: reinstall the package espeakng-loader"
            )
        library.espeak_ng_SetRandSeed(ctypes.c_long(0))  # its breath noise
        self._pieces: list[np.ndarray] = []
        self._callback = _Callback(partial(_receive, self._pieces))  # not a method, which would keep this object alive
        library.espeak_SetSynthCallback(self._callback)

    def _link_to(self, data: Path) -> Path:
        """A short path to the data, for as long as this synthesizer lives in this process. Raises ``RuntimeError`` if there is none."""
        for place in (tempfile.gettempdir(), "/tmp"):
            if len(os.fsencode(place)) <= _LONGEST_PATH - len("/kws-12345678/data"):
                folder = tempfile.mkdtemp(prefix="kws-", dir=place)
                weakref.finalize(self, _remove, folder, os.getpid())
                link = Path(folder) / "data"
                link.symlink_to(data, target_is_directory=True)
                return link
        raise RuntimeError(
            f"espeak-ng cannot read its data below a path of more than {_LONGEST_PATH} bytes, {data}: install it below a"
            " shorter one, or set TMPDIR to a folder with a short path"
        )

    def _set_voice(self, voice: str) -> None:
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice!r}")

    def phonemes(self, text: str, voice: str = "en-us") -> list[str]:
        """The phonemes of a text in espeak's own notation, a stress mark (' or ,) in front of its vowel."""
        self._set_voice(voice)
        pointer = ctypes.c_char_p(text.encode())
        separator = ord("_") << 8
        spoken = self._library.espeak_TextToPhonemes(ctypes.byref(pointer), _UTF8, separator).decode()
        return [p for word in spoken.split() for p in word.split("_") if p]

    def say(self, phonemes: list[str], voice: str, words_per_minute: int, pitch: int, pitch_range: int) -> np.ndarray:
        """Waveform (samples,) int16 at ``sample_rate``.

        ``voice`` is a language and a variant, such as ``en-us+f3``; rate 80 to 450 words a minute, pitch and its range 0 to 99.
        """
        self._set_voice(voice)
        for parameter, value in ((_RATE, words_per_minute), (_PITCH, pitch), (_PITCH_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._pieces.clear()
        text = f"[[{''.join(phonemes)}]]".encode()
        self._library.espeak_Synth(text, len(text) + 1, 0, 1, 0, _UTF8 | _PHONEME_INPUT, None, None)
        return np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.int16)


def _receive(pieces: list[np.ndarray], samples, count: int, _events) -> int:
    if samples and count > 0:
        pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
    return 0


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:  # a forked one has no say
        shutil.rmtree(folder, ignore_errors=True)
