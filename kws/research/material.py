"""What scenes of a study are made of: words of its speakers, noises, recorded speech and synthetic talk, by subset."""

import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from kws.data.audio import SAMPLE_RATE, to_float
from kws.data.corpus import load_noises, readable
from kws.data.jobs import in_order
from kws.data.storage import fingerprint
from kws.data.torch_files import cached
from kws.research.own import own_phrases, own_words, part_of, repeated
from kws.research.settings import EFFORTS, Settings
from kws.scenes import Scene, Sounds, Word, halves, recorded_phrases, sound_files, sounds_of
from kws.split import Split
from kws.views import ClipData
from kws.voices.find import files_of, find_voices, open_voice
from kws.voices.talk import VERSION as TALK_VERSION
from kws.voices.talk import Talk, synthetic_talk

KEYWORDS_A_MINUTE = 6  # keywords said by the voices of the talk, for each minute of it
FEW_KEYWORDS = 8  # likewise, for validation and test of a typed word
NEURAL_SHARE = 0.5  # of talk and of keywords, by neural voices where there are some
TYPED = {"espeak": (6.0, 22), "joe": (0.75, 15), "kokoro": (0.06, 12), "silero": (1.0, 75)}
"""For a typed word, by the folder of a voice: how many times its minutes of talk, and keywords for each of those minutes.

Each kind of voice that says the word takes misses of real people away; Kokoro is slow, espeak-ng fast.
"""
PART_MINUTES, PART_KEYWORDS = 10, 75  # of talk that is made and kept in parts, at most
STAND_IN_MINUTES = 6  # of a part of the talk on which false alarms are counted
SPEAKERS, FEW_SPEAKERS = 400, 100  # guises of a voice, to train on and to be judged on
GAP_SECONDS = 0.5  # of silence between two recordings of talk
SEEDS = {"validation": 1, "test": 2}  # of their synthetic talk


@dataclass(frozen=True)
class TalkPart:
    """Some minutes of talk, and keywords said alone, by guises of one voice (espeak-ng without a ``voice``)."""

    file: Path
    minutes: float
    keywords: int
    seed: int
    speakers: int
    voice: Path | None = None


def words_for(subset: str, clips: ClipData, keyword: str, split: Split) -> Sounds:
    """A subset's words and its part of each noise alone.

    The second half of each noise is for test, and the last quarter of the first half for validation.
    """
    heard, unheard = halves(load_noises(clips.corpus))
    noises = {
        "train": [noise[: 3 * len(noise) // 4] for noise in heard],
        "validation": [noise[3 * len(noise) // 4 :] for noise in heard],
        "test": unheard,
    }
    return sounds_of(clips, keyword, split[subset], noises[subset])


def sounds_for(subset: str, clips: ClipData, keyword: str, split: Split, settings: Settings) -> Sounds:
    """The sounds of a subset: its speakers' words, its part of each noise, recorded speech, and talk by voices of its own.

    Neural voices talk for training only: a model must not be chosen or judged on a voice that it has learned from.
    """
    sounds = words_for(subset, clips, keyword, split)
    talk = _talk(talk_parts(subset, keyword, settings), settings.say or keyword)
    recorded = recorded_phrases(settings.speech, subset, settings.cache) if settings.speech else []
    # Clips hold a typed word as it is said in a row of words, and fast; the voices of the talk call it.
    keywords = [*(() if settings.ear else sounds.keywords), *(Word(said, 0, len(said)) for said in talk.keywords)]
    # A user's own recordings, some of them so often that they count among so many.
    if settings.positive:
        own = part_of(own_words(settings.positive), subset)
        keywords += repeated(own, len(keywords)) if subset == "train" else own
    if settings.negative:
        recorded = [*recorded, *part_of(own_phrases(settings.negative), subset)]
    return replace(sounds, keywords=keywords, talk=talk.phrases, recorded=recorded)


def talk_parts(subset: str, keyword: str, settings: Settings) -> list[TalkPart]:
    """The parts of a subset's talk. Of that to train on, neural voices say their share, as much by each, if there are some."""
    minutes, cache = EFFORTS[settings.effort].talk_minutes, Path(settings.cache)
    if subset != "train":
        file = cache / f"talk-{keyword}-{subset}.pt"
        alone = max(2, round(FEW_KEYWORDS * minutes)) if settings.ear else 0
        return [TalkPart(file, minutes / 6, alone, SEEDS[subset], FEW_SPEAKERS)]
    voices = [None, *(find_voices(settings.voices) if settings.voices else [])]
    found = []
    for i, voice in enumerate(voices):
        if settings.ear:
            times, said = TYPED.get(voice.parent.name if voice else "espeak", TYPED["joe"])
        else:
            times = 1.0 if len(voices) == 1 else NEURAL_SHARE / (len(voices) - 1) if voice else 1 - NEURAL_SHARE
            said = KEYWORDS_A_MINUTE * times
        parts = math.ceil(max(times * minutes / PART_MINUTES, said * minutes / PART_KEYWORDS))
        alone = max(1, round(said * minutes / parts))
        for part in range(parts):
            file = cache / f"talk-{keyword}-{i}-{part}.pt"
            found.append(TalkPart(file, times * minutes / parts, alone, 1000 * i + 10 * part, SPEAKERS, voice))
    return found


def _talk(parts: list[TalkPart], keyword: str) -> Talk:
    """All parts together. It takes long, so each is made on a core of its own and kept."""

    def make(part: TalkPart) -> None:
        _kept(part, keyword)

    # Those of neural voices, which take longest, first.
    missing = sorted((part for part in parts if not part.file.exists()), key=lambda part: part.voice is None)
    for _ in in_order(make, missing, "speaking", "part"):
        pass
    said = [_kept(part, keyword) for part in parts]
    return Talk(*([sound for talk in said for sound in talk[kind]] for kind in ("phrases", "keywords")))


def _kept(part: TalkPart, keyword: str) -> dict:
    files = [hashlib.sha256(f.read_bytes()).hexdigest() for f in (files_of(part.voice) if part.voice else [])]
    wanted = (keyword, part.minutes, part.keywords, part.seed, part.speakers)

    def make() -> dict:
        voice = open_voice(part.voice) if part.voice else None
        talk = synthetic_talk(*wanted, voice, progress=False)
        return {"phrases": talk.phrases, "keywords": talk.keywords}

    return cached(part.file, fingerprint(TALK_VERSION, *wanted, files), make)


def talk_scene(settings: Settings, keyword: str, seed: int = 3) -> Scene:
    """Talk without the keyword, for false alarms: every sound file below ``settings.talk``, or synthetic phrases of other voices."""
    if settings.talk:
        return in_a_row([waveform for _, waveform in readable(sound_files(settings.talk))])
    return stand_in(settings, keyword, EFFORTS[settings.effort].stand_in_minutes, "alarms", seed)


def stand_in(settings: Settings, keyword: str, minutes: float, name: str, seed: int) -> Scene:
    """Minutes of synthetic talk, by voices that ``seed`` draws, in parts of six minutes."""
    count = math.ceil(minutes / STAND_IN_MINUTES)
    files = [Path(settings.cache) / f"talk-{keyword}-{name}-{part}.pt" for part in range(count)]
    parts = [TalkPart(f, minutes / count, 0, seed + 100 * i, FEW_SPEAKERS) for i, f in enumerate(files)]
    return in_a_row([0.3 * to_float(phrase) for phrase in _talk(parts, settings.say or keyword).phrases])


def in_a_row(recordings: list[Tensor]) -> Scene:
    """One scene of recordings without the keyword, with half a second of silence after each."""
    gap = torch.zeros(int(GAP_SECONDS * SAMPLE_RATE))
    return Scene(torch.cat([part for recording in recordings for part in (to_float(recording), gap)]), [])
