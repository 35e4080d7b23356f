"""A corpus made on the spot: any keyword, words that sound like it and common words, said by espeak-ng voices.

It has the shape of Speech Commands, so that everything runs with no download. Each speaker says a word a little differently every
time; each clip has its own noise and level.
"""

import hashlib
import math
from collections import Counter
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from kws.data.acoustics import coloured_noise, convolve, mix_at_snr, power
from kws.data.audio import SAMPLE_RATE, fit_to_length, to_int16
from kws.data.corpus import NOISE_FOLDER, Corpus, CorpusError, folder_corpus
from kws.data.jobs import in_order, one_thread, tick
from kws.data.storage import new_folder, save_flac
from kws.voices.espeak import Espeak
from kws.voices.phonemes import plain_phonemes, similar_words
from kws.voices.speakers import Mouth, Speaker, make_speaker
from kws.voices.text import folder_name, spoken, warning_for
from kws.voices.words import COMMON_WORDS

VERSION = 3  # of the recipe below: a new one makes new corpora
BATCH = 64  # clips that one job makes
NOISE_SAMPLES = 60 * SAMPLE_RATE
TALKERS = 4  # who talk over each other in one of the noises
LONGEST_KEYWORD = (
    2.1  # seconds, said by an average voice, some silence included; in a clip of a second it is said faster
)


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
class _Saying:
    """Who says what in a clip, and its file in the corpus."""

    path: str
    phonemes: list[str]
    speaker: Speaker


def synthetic_corpus(
    keyword: str, folder: str | Path, config: SyntheticConfig = SyntheticConfig(), progress: bool = True, say: str = ""
) -> Corpus:
    """Make (or find, if it was made before) the corpus of a keyword below ``folder``; the same config gives the same sound.

    Args:
        keyword: a word or short phrase as one types it; the word's folder is its ``folder_name``.
        say: how it is said, where that is not how it is spelt.

    Raises ``CorpusError`` for one that espeak-ng cannot say or that takes more than two seconds.
    """
    try:
        word, said = folder_name(keyword), spoken(say or keyword)
    except ValueError as error:
        raise CorpusError(str(error)) from error
    key = hashlib.sha256(repr((VERSION, said, astuple(config))).encode()).hexdigest()[:12]
    target = Path(folder) / f"synthetic-{word}-{key}"
    if not target.is_dir():
        with new_folder(target) as unfinished:
            _speak(word, said, config, unfinished, progress)
    corpus = folder_corpus(target, name="synthetic")
    if len(corpus.clips) != config.clips:
        raise CorpusError(
            f"{target}: {len(corpus.clips)} of its {config.clips} clips are there: remove it, and it is made anew"
        )
    return corpus


@one_thread()
def _speak(word: str, said: str, config: SyntheticConfig, folder: Path, progress: bool) -> None:
    """Fill a folder with the clips and the noises, by several processes.

    Each job draws from the seed and its number, and has a synthesizer of its own: so the number of processes does not matter.
    """
    rng, generator = np.random.default_rng(config.seed), torch.Generator().manual_seed(config.seed)
    kinds = _words(word, said, config, rng)
    # Names tell corpora apart where a folder's name does not tell how its word is said.
    tail = "" if word.replace("_", " ") == said else f" {said}"
    speakers = [
        make_speaker(hashlib.sha256(f"{config.seed} {i}{tail}".encode()).hexdigest()[:8], rng, generator)
        for i in range(config.speakers)
    ]
    sayings = _sayings(kinds, speakers, config, rng)

    # One of the noises is of many voices.
    def talk(job: int) -> np.ndarray:
        return _talk_alone(list(kinds[-1].values()), speakers, np.random.default_rng((config.seed, 1, job))).numpy()

    babble = sum(map(torch.from_numpy, in_order(talk, range(TALKERS), "speaking babble", "voice", progress=progress)))
    noises = [coloured_noise(NOISE_SAMPLES, exponent, generator) for exponent in (0.0, 0.5, 1.0, 1.5)]
    noises += [babble, _hum(rng) + 0.2 * noises[2]]

    # The clips, and the files of the noises.
    for path in {Path(NOISE_FOLDER), *(Path(saying.path).parent for saying in sayings)}:
        (folder / path).mkdir()
    batches = [sayings[start : start + BATCH] for start in range(0, len(sayings), BATCH)]

    def write(job: int) -> None:
        if job >= len(batches):
            i = job - len(batches)
            noise = to_int16(0.5 * noises[i] / noises[i].abs().max())
            save_flac(noise, folder / NOISE_FOLDER / f"noise_{i}.flac", SAMPLE_RATE)
            return
        waveforms = _clips(batches[job], noises, config, np.random.default_rng((config.seed, 2, job)))
        for saying, waveform in zip(batches[job], waveforms, strict=True):
            save_flac(to_int16(waveform), folder / saying.path, SAMPLE_RATE)

    sizes = [*map(len, batches), *(0 for _ in noises)]
    jobs = in_order(write, range(len(sizes)), f"speaking {said!r}", "clip", sizes.__getitem__, True, progress)
    for _ in jobs:
        pass


def _words(name: str, said: str, config: SyntheticConfig, rng: np.random.Generator) -> list[dict[str, list[str]]]:
    """The phonemes of the keyword, of words like it and of common ones, by the names of their folders."""
    espeak = Espeak()
    pronunciation = espeak.phonemes(said)
    if not pronunciation:
        raise CorpusError(f"espeak-ng cannot say the keyword {said!r}: give a word in English spelling")
    seconds = len(espeak.say(pronunciation, "en-us", 170, 50, 50)) / espeak.sample_rate
    if seconds > LONGEST_KEYWORD:
        raise CorpusError(f"the keyword {said!r} takes {seconds:.1f} s to say; 2 s is the longest: take a shorter one")
    if warning := warning_for(pronunciation, seconds):
        tqdm.write(f"warning for the keyword {said!r}: {warning}")
    swaps = math.ceil(config.swapped * len(pronunciation))
    like = similar_words(pronunciation, config.confusable_words, swaps, rng)
    # A homophone would be the keyword under another name.
    common = {word: espeak.phonemes(word) for word in COMMON_WORDS if word != name}
    homophones = {
        word for word, phonemes in common.items() if plain_phonemes(phonemes) == plain_phonemes(pronunciation)
    }
    return [
        {name: pronunciation},
        {f"like_{name}_{i}": phonemes for i, phonemes in enumerate(like, 1)},
        {word: phonemes for word, phonemes in common.items() if word not in homophones},
    ]


def _sayings(
    kinds: list[dict[str, list[str]]], speakers: list[Speaker], config: SyntheticConfig, rng: np.random.Generator
) -> list[_Saying]:
    """Who says what in each clip, by chance."""
    shares = [config.keyword_share, config.confusable_share, 1 - config.keyword_share - config.confusable_share]
    said: Counter = Counter()
    sayings = []
    for _ in range(config.clips):
        words = kinds[rng.choice(3, p=shares)] or kinds[-1]  # a word may have no neighbours
        word, speaker = str(rng.choice(list(words))), speakers[rng.integers(len(speakers))]
        path = f"{word}/{speaker.name}_nohash_{said[word, speaker.name]}.flac"
        sayings.append(_Saying(path, words[word], speaker))
        said[word, speaker.name] += 1
    return sayings


def _clips(sayings: list[_Saying], noises: list[Tensor], config: SyntheticConfig, rng: np.random.Generator) -> Tensor:
    """Waveforms (sayings, samples)."""
    mouth = Mouth(rng)
    voices, backgrounds = [], []
    for saying in sayings:
        voices.append(_place(mouth.say(saying.phonemes, saying.speaker), rng))
        noise = noises[rng.integers(len(noises))]
        cut = rng.integers(len(noise) - SAMPLE_RATE)
        backgrounds.append(noise[cut : cut + SAMPLE_RATE])
        tick()
    responses = torch.stack([saying.speaker.response for saying in sayings])
    return _scenes(torch.stack(voices), responses, torch.stack(backgrounds), config, rng)


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


def _talk_alone(words: list[list[str]], speakers: list[Speaker], rng: np.random.Generator) -> Tensor:
    """A minute of words, each by another speaker, with short pauses."""
    mouth = Mouth(rng)
    talk, position = torch.zeros(NOISE_SAMPLES), 0
    while position < NOISE_SAMPLES:
        voice = mouth.say(words[rng.integers(len(words))], speakers[rng.integers(len(speakers))])
        end = min(position + len(voice), NOISE_SAMPLES)
        talk[position:end] = voice[: end - position]
        position = end + int(rng.integers(0, SAMPLE_RATE // 5))
    return talk


def _hum(rng: np.random.Generator) -> Tensor:
    """A minute of a machine: a 50 Hz hum and its harmonics."""
    time = torch.arange(NOISE_SAMPLES) / SAMPLE_RATE
    return sum(0.1 / k * torch.sin(2 * torch.pi * (50 * k * time + rng.uniform())) for k in range(1, 12))
