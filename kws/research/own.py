"""A few recordings of one's own, of the word and of anything else: cut, parted into those trained on and those chosen on, and checked."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from kws.data.audio import SAMPLE_RATE, read_audio, to_float, to_int16
from kws.data.corpus import CorpusError
from kws.data.jobs import one_thread
from kws.features import log_mels
from kws.research.stepwise import CRNNSteps
from kws.scenes import Word, sound_files
from kws.scenes.recorded import cut_at_pauses
from kws.scenes.sounds import word_bounds
from kws.targets import tap

LONGEST = 10.0  # seconds of a recording that holds the word once
AROUND = 0.3  # seconds kept before and after the word
SILENT = 0.002  # of full scale: a recording that is never louder holds no speech
SHARE = 0.3  # of the keywords in scenes, those that a user recorded
EVERY = 5  # one of so many is kept for the choice of the threshold
PLACES = 6  # in a word, at which the ear is asked
LIKE = 0.98  # share of other words that sound less like the word than a recording of it does
Item = TypeVar("Item")


def own_words(folder: str | Path) -> list[Word]:
    """The word in each recording below a folder, which holds it once.

    Raises ``FileNotFoundError`` for a folder without sound, ``AudioError`` for a file that cannot be read, and ``CorpusError`` for one
    that is silent or longer than 10 s.
    """
    found = []
    for path in sound_files(folder):
        waveform = _heard(path)
        if len(waveform) > LONGEST * SAMPLE_RATE:
            seconds = len(waveform) / SAMPLE_RATE
            raise CorpusError(f"{path}: {seconds:.0f} s long; a recording must hold the word once, in {LONGEST:.0f} s")
        start, end = word_bounds(waveform)
        first, last = max(0, start - int(AROUND * SAMPLE_RATE)), end + int(AROUND * SAMPLE_RATE)
        found.append(Word(waveform[first:last], start - first, end - first))
    return found


def own_phrases(folder: str | Path) -> list[Tensor]:
    """What is said, or heard, in recordings without the word, cut at pauses: (samples,) int16 each. Raises as ``own_words``."""
    return [phrase for path in sound_files(folder) for phrase in cut_at_pauses(to_float(_heard(path)))]


def _heard(path: Path) -> Tensor:
    waveform = to_int16(read_audio(path))
    if not len(waveform) or to_float(waveform).abs().max() < SILENT:
        raise CorpusError(f"{path}: silent, there is no speech in it; remove it or record it again")
    return waveform


def part_of(items: Sequence[Item], subset: str) -> list[Item]:
    """Those to train on, those to choose the threshold on (each fifth, or the last of fewer), or for "test" none."""
    chosen = {i for i in range(len(items)) if i % EVERY == EVERY - 1} or {len(items) - 1} - {0}
    kept = {"train": set(range(len(items))) - chosen, "validation": chosen}.get(subset, set())
    return [items[i] for i in sorted(kept)]


def repeated(own: Sequence[Item], others: int) -> list[Item]:
    """Recordings so often that ``SHARE`` of the keywords are theirs, among so many others."""
    times = round(SHARE / (1 - SHARE) * others / len(own)) if own else 0
    return [*own] * max(1, times)


@one_thread()
@torch.no_grad()
def unlike(own: Sequence[Word], keywords: Sequence[Word], words: Sequence[Word], ear: nn.Module) -> list[int]:
    """Which recordings (places in ``own``) sound no more like the keywords than other words do, to a linear reader of an ear."""
    classes = [_read(ear, some) for some in (keywords, words, own)]
    one, other = classes[0], classes[1]
    # Fisher's discriminant, with a little of the unit matrix so that it can be inverted.
    within = torch.cov(torch.cat([one - one.mean(0), other - other.mean(0)]).T)
    within += 0.1 * within.diagonal().mean() * torch.eye(len(within))
    direction = torch.linalg.solve(within, one.mean(0) - other.mean(0))
    least = torch.quantile(other @ direction, LIKE)
    return torch.nonzero(classes[2] @ direction <= least).flatten().tolist()


def _read(ear: nn.Module, words: Sequence[Word]) -> Tensor:
    """What the ear's last layer says at six places from a word's start to just after its end: (words, features)."""
    steps, last = CRNNSteps(ear.eval()), f"recurrent.{ear.config.layers - 1}"
    features = []
    for word in words:
        padded = torch.cat([word.waveform[: word.end], torch.zeros(SAMPLE_RATE // 4, dtype=torch.int16)])
        quiet = to_float(torch.cat([torch.zeros(SAMPLE_RATE // 2, dtype=torch.int16), padded]))
        quiet = quiet * (0.08 / quiet.square().mean().sqrt().clamp_min(1e-4)).clamp_max(100)
        with tap(ear, [last]) as outputs:
            steps.whole(log_mels(quiet[None]))
        said = outputs[last][0]
        first = said.shape[0] * (word.start + SAMPLE_RATE // 2) / len(quiet)
        at = np.linspace(first, said.shape[0] - 1, PLACES).astype(int)
        features.append(said[at].flatten())
    return torch.stack(features)
