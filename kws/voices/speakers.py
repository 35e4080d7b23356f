"""Speakers of espeak-ng: each has an accent, a voice, a pitch, a pace, a room and a microphone of its own."""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torchaudio
from torch import Tensor

from kws.data.acoustics import room_responses
from kws.data.audio import SAMPLE_RATE
from kws.voices.apart import EspeakApart, EspeakCrash

# fmt: off
# English accents only: given phonemes that their language lacks, the other voices read memory that is not theirs and crash.
ACCENTS = ["en-us", "en-us-nyc", "en", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029"]
# Of the wheel's voices, less the whispers, robots, two (caleb, Reed) that sound different at every start, and one (rob) that crashes on some phrases.
VARIANTS = [
    "adam", "Alex", "Alicia", "Andrea", "Andy", "anika", "Annie", "antonio", "aunty", "belinda", "benjamin", "boris", "david",
    "Denis", "Diogo", "ed", "edward", "f1", "f2", "f3", "f4", "f5", "Gene", "grandma", "grandpa", "gustave", "Henrique", "Hugo", "ian",
    "Jacky", "john", "klatt", "klatt2", "klatt3", "klatt4", "Lee", "linda", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "marcelo",
    "Marco", "Mario", "max", "Michael", "michel", "miguel", "Mike", "norbert", "pablo", "paul", "pedro", "quincy", "robert",
    "sandro", "shelby", "steph", "travis", "victor", "zac",
]
# fmt: on
CRASHES = 8  # of espeak-ng, one after another, after which a word is given up
LONGEST_WORD = 0.95  # seconds: who takes longer says it again, faster


@dataclass(frozen=True)
class Speaker:
    """A voice of espeak-ng with its usual pace, pitch and pitch range (0 to 99), and the response (taps,) of its room and microphone."""

    name: str
    voice: str
    words_per_minute: int
    pitch: int
    pitch_range: int
    response: Tensor

    def at(self, pace: float) -> "Speaker":
        """The same, so much faster."""
        return replace(self, words_per_minute=round(self.words_per_minute * pace))


def make_speaker(name: str, rng: np.random.Generator, generator: torch.Generator) -> Speaker:
    """A speaker by chance: ``generator`` draws the room, ``rng`` all else."""
    response = room_and_microphone(rng, generator)
    return Speaker(
        name=name,
        voice=f"{rng.choice(ACCENTS)}+{rng.choice(VARIANTS)}",
        words_per_minute=int(rng.integers(120, 220)),
        pitch=int(rng.integers(20, 85)),
        pitch_range=int(rng.integers(20, 80)),
        response=response,
    )


class Mouth:
    """espeak-ng at 16 kHz, a little different every time."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self.espeak = EspeakApart()
        self.resample = torchaudio.transforms.Resample(self.espeak.sample_rate, SAMPLE_RATE)

    def say(self, phonemes: list[str], speaker: Speaker, longest: float = LONGEST_WORD) -> Tensor:
        """The word as this speaker says it this time: float (samples,), without the silence around it.

        It is said again, faster, if it took more than ``longest`` seconds, and otherwise where espeak-ng crashed.
        Raises ``EspeakCrash`` if that does not help.
        """
        pace = speaker.words_per_minute * self.rng.uniform(0.85, 1.2)
        pitch = int(np.clip(speaker.pitch + self.rng.normal(0, 6), 0, 99))
        pitch_range = int(np.clip(speaker.pitch_range + self.rng.normal(0, 15), 0, 99))
        for _ in range(3):
            samples = self._said(phonemes, speaker.voice, int(np.clip(pace, 80, 400)), pitch, pitch_range)
            waveform = trimmed(self.resample(torch.from_numpy(samples.astype(np.float32) / 32768)))
            if len(waveform) <= longest * SAMPLE_RATE:
                break
            pace *= 1.1 * len(waveform) / (longest * SAMPLE_RATE)
        return waveform

    def _said(self, phonemes: list[str], voice: str, pace: int, pitch: int, pitch_range: int) -> np.ndarray:
        # A crash is of one pitch and pace: others follow, each a little further away.
        for further in range(CRASHES):
            try:
                return self.espeak.say(phonemes, voice, pace + 7 * further, max(pitch - 5 * further, 0), pitch_range)
            except EspeakCrash:
                if further == CRASHES - 1:
                    raise


def room_and_microphone(rng: np.random.Generator, generator: torch.Generator) -> Tensor:
    """A response (samples,) to convolve a voice with."""
    room = room_responses(torch.tensor([[rng.uniform(0.1, 0.5)]]), torch.tensor([[rng.uniform(0.0, 0.8)]]), generator)
    microphone = torchaudio.functional.highpass_biquad(room, SAMPLE_RATE, rng.uniform(50, 400))
    return torchaudio.functional.lowpass_biquad(microphone, SAMPLE_RATE, rng.uniform(3000, 7500))[0]


def trimmed(waveform: Tensor) -> Tensor:
    """Without the silence, 34 dB below its peak, before and after."""
    loud = torch.nonzero(waveform.abs() > 0.02 * waveform.abs().max()).flatten()
    return waveform[loud[0] : loud[-1] + 1] if len(loud) else waveform
