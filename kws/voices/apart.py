"""espeak-ng in a process of its own: what crashes it costs a word, and not the run."""

import multiprocessing
import os
from multiprocessing.connection import Connection

import numpy as np

from kws.data.corpus import CorpusError
from kws.voices.espeak import Espeak

PATIENCE = 120  # seconds after which it counts as crashed


class EspeakCrash(CorpusError):
    """espeak-ng ended its process, over a few words by one voice at one pitch and pace."""


class EspeakApart:
    """``Espeak`` behind a pipe: the same calls give the same samples. After a crash the next call starts it anew."""

    def __init__(self) -> None:
        self._pipe: Connection | None = None
        # As for other jobs: macOS's system libraries may crash in a forked process, so there it speaks in this one.
        forks = "fork" in multiprocessing.get_all_start_methods() and hasattr(os, "sched_getaffinity")
        self._espeak = None if forks else Espeak()
        self.sample_rate: int = self._ask("sample_rate")

    def phonemes(self, text: str, voice: str = "en-us") -> list[str]:
        """As ``Espeak.phonemes``. Raises ``EspeakCrash``."""
        return self._ask("phonemes", text, voice)

    def say(self, phonemes: list[str], voice: str, words_per_minute: int, pitch: int, pitch_range: int) -> np.ndarray:
        """As ``Espeak.say``. Raises ``EspeakCrash``."""
        return self._ask("say", phonemes, voice, words_per_minute, pitch, pitch_range)

    def _ask(self, name: str, *arguments):
        if self._espeak:
            return _answer(self._espeak, name, arguments)
        pipe, self._pipe = (
            self._pipe or _start(),
            None,
        )  # whatever happens, an answer that comes late is not taken for another
        try:
            pipe.send((name, arguments))
            if not pipe.poll(PATIENCE):
                raise EOFError
            answer = pipe.recv()
        except (EOFError, OSError):
            raise EspeakCrash(f"espeak-ng crashed at {name} of {arguments}") from None
        self._pipe = pipe
        if isinstance(answer, Exception):
            raise answer
        return answer


def _answer(espeak: Espeak, name: str, arguments: tuple):
    found = getattr(espeak, name)
    return found(*arguments) if callable(found) else found


def _start() -> Connection:
    """A pipe to a new process that speaks until the pipe is closed."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    context.Process(target=_speak, args=(theirs, ours), daemon=True).start()
    theirs.close()  # else the end of the process would not be seen
    return ours


def _speak(pipe: Connection, other: Connection) -> None:
    other.close()
    espeak = None
    try:
        while True:
            name, arguments = pipe.recv()
            try:
                espeak = espeak or Espeak()
                pipe.send(_answer(espeak, name, arguments))
            except (ValueError, RuntimeError) as error:
                pipe.send(error)
    except (EOFError, OSError, KeyboardInterrupt):
        pass  # nobody listens any more
