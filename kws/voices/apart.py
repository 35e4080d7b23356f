"""espeak-ng in a process of its own: what crashes it costs a word, and not the run."""

import multiprocessing
from multiprocessing.connection import Connection

import numpy as np

from kws.voices.espeak import Espeak


class EspeakCrash(RuntimeError):
    """espeak-ng ended its process, over a few words by one voice at one pitch and pace."""


class EspeakApart:
    """``Espeak`` behind a pipe: the same calls give the same samples. After a crash the next call starts it anew."""

    def __init__(self) -> None:
        espeak = Espeak()
        self.sample_rate = espeak.sample_rate
        # A process that cannot fork speaks itself, as a crash then cannot be caught.
        self._espeak = None if "fork" in multiprocessing.get_all_start_methods() else espeak
        self._pipe: Connection | None = None

    def phonemes(self, text: str, voice: str = "en-us") -> list[str]:
        """As ``Espeak.phonemes``. Raises ``EspeakCrash``."""
        return self._ask("phonemes", text, voice)

    def say(self, phonemes: list[str], voice: str, words_per_minute: int, pitch: int, pitch_range: int) -> np.ndarray:
        """As ``Espeak.say``. Raises ``EspeakCrash``."""
        return self._ask("say", phonemes, voice, words_per_minute, pitch, pitch_range)

    def _ask(self, method: str, *arguments):
        if self._espeak:
            return getattr(self._espeak, method)(*arguments)
        if self._pipe is None:
            self._pipe = _start()
        try:
            self._pipe.send((method, arguments))
            answer = self._pipe.recv()
        except (EOFError, OSError):
            self._pipe = None
            raise EspeakCrash(f"espeak-ng crashed at {method} of {arguments}") from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def _start() -> Connection:
    """A pipe to a new process that speaks until the pipe is closed."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    context.Process(target=_speak, args=(theirs, ours), daemon=True).start()
    theirs.close()  # else the end of the process would not be seen
    return ours


def _speak(pipe: Connection, other: Connection) -> None:
    other.close()
    espeak = Espeak()
    try:
        while True:
            method, arguments = pipe.recv()
            try:
                pipe.send(getattr(espeak, method)(*arguments))
            except ValueError as error:
                pipe.send(error)
    except (EOFError, OSError, KeyboardInterrupt):
        pass  # nobody listens any more
