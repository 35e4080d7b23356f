"""The 118 English speakers of Silero's v3_en (https://github.com/snakers4/silero-models), which read text and are for non-commercial use.

Its file is an archive of torch.package: loading it runs code that lies in it, so only the file that ``make voices`` checks is taken.
"""

import hashlib
import unicodedata
from pathlib import Path

import torch
import torchaudio
from torch import Tensor

from kws.data.audio import SAMPLE_RATE
from kws.data.corpus import CorpusError
from kws.voices.packages import SILERO_SHA256
from kws.voices.piper import STEP

NAME = "v3_en.pt"
RATE = 24_000  # Hz, of what it says
ENDS = ".!?,"  # of what is said: they change its melody


class SileroVoice:
    """The voice in a file. It is given spelt words, not phonemes (``reads``). Raises ``CorpusError`` for another file."""

    reads = True

    def __init__(self, path: str | Path):
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != SILERO_SHA256:
                raise CorpusError(f"{path}: is not Silero's {NAME} that was tried; remove it, and run make voices")
        self.model = torch.package.PackageImporter(str(path)).load_pickle("tts_models", "model")
        self.names = [name for name in self.model.speakers if name != "random"]
        self.speakers = len(self.names)

    def say(
        self,
        words: list[str],
        speaker: int = 0,
        pace: float = 1.0,
        size: float = 1.0,
        variety: float = 0.5,
        rhythm: float = 0.5,
    ) -> Tensor:
        """As ``NeuralVoice.say`` of spelt words; ``variety`` sets the pitch and ``rhythm`` the melody: the same arguments give the same sound."""
        text = unicodedata.normalize("NFKD", " ".join(words)).encode("ascii", "ignore").decode().replace("&", " and ")
        pitch = round(70 * variety) - 50
        spoken = f'<prosody rate="{round(100 * pace / size)}%" pitch="{pitch:+d}%">{text}{ENDS[int(10 * rhythm) % len(ENDS)]}</prosody>'
        # A sentence is said once: optimizing the network for its length would take longer than saying it.
        with torch.jit.optimized_execution(False):
            waveform = self.model.apply_tts(
                ssml_text=f"<speak>{spoken}</speak>", speaker=self.names[speaker], sample_rate=RATE
            )
        return torchaudio.functional.resample(waveform, STEP * round(RATE * size / STEP), SAMPLE_RATE)
