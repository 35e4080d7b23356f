"""A corpus made on the spot: any keyword, words that sound like it and common words, said by espeak-ng voices.

It has the shape of Speech Commands, so that everything runs with no download. Each speaker has an accent, a voice, a pitch, a pace,
a room and a microphone of its own, and says a word a little differently every time; each clip has its own noise and level.
"""

import hashlib
import math
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio
from torch import Tensor
from tqdm import tqdm

from kws.data.acoustics import coloured_noise, convolve, mix_at_snr, power, room_responses
from kws.data.audio import SAMPLE_RATE, fit_to_length, to_int16
from kws.data.corpus import NOISE_FOLDER, Corpus, CorpusError, folder_corpus, normal_keyword, word_of
from kws.voices.espeak import Espeak

# fmt: off
COMMON_WORDS = (
    "backward bed bird cat dog down eight five follow forward four go happy house learn left marvin nine no off on one right seven"
    " sheila six stop three tree two up visual wow yes zero"
).split()
# English accents only: given phonemes that their language lacks, the other voices read memory that is not theirs and crash.
ACCENTS = ["en-us", "en-us-nyc", "en", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029"]
# Of the wheel's voices, less the whispers, robots and two (caleb, Reed) that sound different at every start.
VARIANTS = [
    "adam", "Alex", "Alicia", "Andrea", "Andy", "anika", "Annie", "antonio", "aunty", "belinda", "benjamin", "boris", "david",
    "Denis", "Diogo", "ed", "edward", "f1", "f2", "f3", "f4", "f5", "Gene", "grandma", "grandpa", "gustave", "Henrique", "Hugo", "ian",
    "Jacky", "john", "klatt", "klatt2", "klatt3", "klatt4", "Lee", "linda", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "marcelo",
    "Marco", "Mario", "max", "Michael", "michel", "miguel", "Mike", "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert",
    "sandro", "shelby", "steph", "travis", "victor", "zac",
]
# Phonemes that a listener confuses, in espeak's notation; one is swapped for another of its row to make a similar word.
SIMILAR = [
    ["p", "b", "t", "d", "k", "g"], ["f", "v", "T", "D", "s", "z", "S", "Z", "h"], ["tS", "dZ", "t", "d", "S"],
    ["m", "n", "N"], ["l", "r", "w", "j"],
    ["i:", "I", "eI", "E"], ["a", "E", "V", "A:"], ["0", "O:", "oU", "V"], ["u:", "U", "oU", "3:"], ["aI", "eI", "oI", "aU"],
    ["i", "@", "oU", "eI"],
]
# fmt: on
VERSION = 1  # of the recipe below: a new one makes new corpora
BATCH = 64
NOISE_SAMPLES = 60 * SAMPLE_RATE
LONGEST_KEYWORD = 1.1  # seconds, said by an average voice; some silence included
LONGEST_WORD = 0.95  # seconds: who takes longer says it again, faster


@dataclass(frozen=True)
class SyntheticConfig:
    """Size and hardness of a synthetic corpus. SNRs are in dB over the whole clip, shares of all clips.

    A confusable word has the share ``swapped`` (rounded up) of the keyword's phonemes replaced by similar ones.
    """

    clips: int = 3600
    speakers: int = 300
    keyword_share: float = 0.2
    confusable_share: float = 0.08
    confusable_words: int = 12
    swapped: float = 0.5
    lowest_snr: float = 5.0
    highest_snr: float = 35.0
    seed: int = 0


@dataclass(frozen=True)
class Speaker:
    name: str
    voice: str
    words_per_minute: int
    pitch: int
    pitch_range: int
    response: Tensor  # of the room and the microphone together


def synthetic_corpus(
    keyword: str, folder: str | Path, config: SyntheticConfig = SyntheticConfig(), progress: bool = True
) -> Corpus:
    """Make (or find, if it was made before) the corpus of a keyword below ``folder``; the same config gives the same sound.

    ``keyword`` is any word or short phrase that fits in a second, in English spelling. Raises ``CorpusError`` for
    one that espeak-ng cannot say or that takes more than a second.
    """
    keyword = normal_keyword(keyword)
    if not re.fullmatch(r"[a-z][a-z' -]*", keyword):
        raise CorpusError(
            f"espeak-ng cannot say the keyword {keyword!r}: give a word or phrase in English spelling, of letters"
        )
    key = hashlib.sha256(repr((VERSION, keyword, astuple(config))).encode()).hexdigest()[:12]
    target = Path(folder) / f"synthetic-{word_of(keyword)}-{key}"
    if not target.is_dir():
        unfinished = target.with_name(f".{target.name}.part")
        shutil.rmtree(unfinished, ignore_errors=True)
        for path, waveform in tqdm(
            _clips(keyword, config), f"speaking {keyword!r}", config.clips + 6, unit="clip", disable=not progress
        ):
            (unfinished / path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(unfinished / path, to_int16(waveform).numpy(), SAMPLE_RATE)
        unfinished.rename(target)
    return folder_corpus(target, name="synthetic")


def similar_words(phonemes: list[str], count: int, swaps: int, rng: np.random.Generator) -> list[list[str]]:
    """Up to ``count`` words that differ from a word in ``swaps`` phonemes, each swapped for one that listeners confuse it with."""
    places = [i for i, phoneme in enumerate(phonemes) if _confusions(phoneme)]
    found: dict[str, list[str]] = {}
    for _ in range(20 * count):  # more often than enough: a short word has few neighbours
        word = list(phonemes)
        for i in rng.permutation(places)[:swaps]:
            word[i] = str(rng.choice(_confusions(phonemes[i])))
        found["".join(word)] = word
    return [word for word in found.values() if plain_phonemes(word) != plain_phonemes(phonemes)][:count]


def plain_phonemes(phonemes: list[str]) -> list[str]:
    """Without stress marks: homophones such as two and too are then equal."""
    return [phoneme.lstrip("',%") for phoneme in phonemes]


def _confusions(phoneme: str) -> list[str]:
    """The phonemes that are like one, with its stress mark."""
    plain = phoneme.lstrip("',%")
    stress = phoneme[: len(phoneme) - len(plain)]
    return [stress + other for row in SIMILAR if plain in row for other in row if other != plain]


def _clips(keyword: str, config: SyntheticConfig) -> Iterator[tuple[str, Tensor]]:
    """The files of the corpus, path and waveform, noises first."""
    rng = np.random.default_rng(config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    mouth = Mouth(rng)
    pronunciation = mouth.espeak.phonemes(keyword)
    if not pronunciation:
        raise CorpusError(f"espeak-ng cannot say the keyword {keyword!r}: give a word in English spelling")
    seconds = len(mouth.espeak.say(pronunciation, "en-us", 170, 50, 50)) / mouth.espeak.sample_rate
    if seconds > LONGEST_KEYWORD:
        raise CorpusError(f"the keyword {keyword!r} takes {seconds:.1f} s to say; a clip is 1 s: take a shorter one")
    sound = plain_phonemes(pronunciation)
    common = {
        word: phonemes for word in COMMON_WORDS if plain_phonemes(phonemes := mouth.espeak.phonemes(word)) != sound
    }
    similar = {
        f"like_{keyword}_{i}": p
        for i, p in enumerate(
            similar_words(pronunciation, config.confusable_words, math.ceil(config.swapped * len(pronunciation)), rng),
            1,
        )
    }
    kinds = [{keyword: pronunciation}, similar, common]
    shares = [config.keyword_share, config.confusable_share, 1 - config.keyword_share - config.confusable_share]
    speakers = [make_speaker(i, config, rng, generator) for i in range(config.speakers)]

    noises = [coloured_noise(NOISE_SAMPLES, exponent, generator) for exponent in (0.0, 0.5, 1.0, 1.5)]
    noises += [_babble(list(common.values()), speakers, mouth, rng), _hum(rng) + 0.2 * noises[2]]
    for i, noise in enumerate(noises):
        yield f"{NOISE_FOLDER}/noise_{i}.flac", 0.5 * noise / noise.abs().max()

    said: Counter = Counter()
    for start in range(0, config.clips, BATCH):
        names, voices, responses, backgrounds = [], [], [], []
        for _ in range(min(BATCH, config.clips - start)):
            words = kinds[rng.choice(3, p=shares)] or common  # a word may have no neighbours
            word = str(rng.choice(list(words)))
            speaker = speakers[rng.integers(len(speakers))]
            voice = mouth.say(words[word], speaker)
            names.append(f"{word.replace(' ', '_')}/{speaker.name}_nohash_{said[word, speaker.name]}.flac")
            said[word, speaker.name] += 1
            voices.append(_place(voice, rng))
            responses.append(speaker.response)
            noise = noises[rng.integers(len(noises))]
            cut = rng.integers(len(noise) - SAMPLE_RATE)
            backgrounds.append(noise[cut : cut + SAMPLE_RATE])
        yield from zip(names, _scenes(*map(torch.stack, (voices, responses, backgrounds)), config, rng), strict=True)


def room_and_microphone(rng: np.random.Generator, generator: torch.Generator) -> Tensor:
    """A response (samples,) to convolve a voice with."""
    room = room_responses(torch.tensor([[rng.uniform(0.1, 0.5)]]), torch.tensor([[rng.uniform(0.0, 0.8)]]), generator)
    microphone = torchaudio.functional.highpass_biquad(room, SAMPLE_RATE, rng.uniform(50, 400))
    return torchaudio.functional.lowpass_biquad(microphone, SAMPLE_RATE, rng.uniform(3000, 7500))[0]


def trimmed(waveform: Tensor) -> Tensor:
    """Without the silence, 34 dB below its peak, before and after."""
    loud = torch.nonzero(waveform.abs() > 0.02 * waveform.abs().max()).flatten()
    return waveform[loud[0] : loud[-1] + 1] if len(loud) else waveform


def make_speaker(i: int, config: SyntheticConfig, rng: np.random.Generator, generator: torch.Generator) -> Speaker:
    response = room_and_microphone(rng, generator)
    return Speaker(
        name=hashlib.sha256(f"{config.seed} {i}".encode()).hexdigest()[:8],
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
        self.espeak = Espeak()
        self.resample = torchaudio.transforms.Resample(self.espeak.sample_rate, SAMPLE_RATE)

    def say(self, phonemes: list[str], speaker: Speaker, longest: float = LONGEST_WORD) -> Tensor:
        """The word as this speaker says it this time: float (samples,), silence trimmed, said again faster if it took more than ``longest`` seconds."""
        pace = speaker.words_per_minute * self.rng.uniform(0.85, 1.2)
        pitch = int(np.clip(speaker.pitch + self.rng.normal(0, 6), 0, 99))
        pitch_range = int(np.clip(speaker.pitch_range + self.rng.normal(0, 15), 0, 99))
        for _ in range(3):
            samples = self.espeak.say(phonemes, speaker.voice, int(np.clip(pace, 80, 400)), pitch, pitch_range)
            waveform = trimmed(self.resample(torch.from_numpy(samples.astype(np.float32) / 32768)))
            if len(waveform) <= longest * SAMPLE_RATE:
                break
            pace *= 1.1 * len(waveform) / (longest * SAMPLE_RATE)
        return waveform


def _place(voice: Tensor, rng: np.random.Generator) -> Tensor:
    """The voice somewhere in one second, most often in the middle; one that is longer loses its ends."""
    slack = SAMPLE_RATE - len(voice)
    if slack < 0:
        return fit_to_length(voice, SAMPLE_RATE)
    before = int(np.clip(rng.normal(0.5, 0.25), 0, 1) * slack)
    return torch.nn.functional.pad(voice, (before, slack - before))


def _scenes(
    voices: Tensor, responses: Tensor, noises: Tensor, config: SyntheticConfig, rng: np.random.Generator
) -> Tensor:
    """Each voice in its room through its microphone, with noise, at some level: (batch, samples)."""
    snr = rng.uniform(config.lowest_snr, config.highest_snr, (len(voices), 1))
    level = 10 ** (rng.uniform(-35, -15, (len(voices), 1)) / 20)
    mixed = mix_at_snr(convolve(voices, responses), noises, torch.from_numpy(snr).float())
    return (mixed / power(mixed).clamp_min(1e-10).sqrt() * torch.from_numpy(level).float()).clamp(-1, 1)


def _babble(sayings: list[list[str]], speakers: list[Speaker], mouth: Mouth, rng: np.random.Generator) -> Tensor:
    """A minute of four people talking over each other."""
    babble = torch.zeros(NOISE_SAMPLES)
    for _ in range(4):
        position = 0
        while position < NOISE_SAMPLES:
            voice = mouth.say(sayings[rng.integers(len(sayings))], speakers[rng.integers(len(speakers))])
            end = min(position + len(voice), NOISE_SAMPLES)
            babble[position:end] += voice[: end - position]
            position = end + int(rng.integers(0, SAMPLE_RATE // 5))
    return babble


def _hum(rng: np.random.Generator) -> Tensor:
    """A minute of a machine: a 50 Hz hum and its harmonics."""
    time = torch.arange(NOISE_SAMPLES) / SAMPLE_RATE
    return sum(0.1 / k * torch.sin(2 * torch.pi * (50 * k * time + rng.uniform())) for k in range(1, 12))
