"""An audit of the keyword clips: those that no network hears are named, with what can be measured of them.

A clip counts as unheard if not one seed of one network that never trained on it says 0.5 or more. A listener of another kind is
asked as well: which word's clips it is nearest to, in what a pretrained ear makes of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kws.checkpoint import load_model
from kws.data.audio import SAMPLE_RATE, to_float
from kws.data.jobs import one_thread
from kws.research.stepwise import stepwise
from kws.research.study import KINDS, Study
from kws.targets import tap

EAR = Path("weights/ears/base.pt")
PIECE = SAMPLE_RATE // 20  # 50 ms
FAINT_DB = -50.0  # root mean square below which a clip is nearly silent, of full scale
STANDS_OUT_DB = 10.0  # of the loudest 50 ms over the median: below it no word stands out
BATCH = 256


@dataclass(frozen=True)
class Unheard:
    """A keyword clip that no network hears.

    Attributes:
        clip: its name in the corpus. splits: the kinds of split in whose test it is, by comma.
        asked: how many seeds of networks. highest: the highest probability that one of them gave.
        level_db: root mean square of full scale.
        nearest: the word whose other clips its sound is nearest to. place: of the keyword among the words by nearness, from 1.
        reason: why it is not heard, as far as that can be measured.
    """

    clip: str
    splits: str
    asked: int
    highest: float
    level_db: float
    nearest: str
    place: int
    reason: str


def audit(study: Study, names: Sequence[str], ear: str | Path = EAR) -> list[Unheard]:
    """The unheard keyword clips of the test subsets of all kinds of split, by name. Raises ``NotTrained`` for a network that is not there."""
    said: dict[int, list[float]] = {}
    where: dict[int, list[str]] = {}
    # What every seed of every network says of its own test clips.
    for kind in KINDS:
        for name in (name for name in names if kind in study.files(name)):
            for seed in study.seeds(name):
                p, y = study.judged(name, kind, seed)
                for clip, probability in zip(study.splits[kind].test[y == 1], p[y == 1], strict=True):
                    said.setdefault(int(clip), []).append(float(probability))
        for clip in study.splits[kind].test:
            where.setdefault(int(clip), []).append(kind)
    clips = sorted(clip for clip, found in said.items() if max(found) < 0.5)
    words, places = nearest_words(study, clips, load_model(ear)) if clips else ([], [])
    rows = []
    for clip, word, place in zip(clips, words, places, strict=True):
        waveform = to_float(study.clips.waveforms[clip])
        level = 10 * float(torch.log10(waveform.square().mean() + 1e-12))
        why = reason(waveform, level, word, place, study.keyword)
        about = (study.corpus.clips[clip].name, ", ".join(where[clip]), len(said[clip]), max(said[clip]))
        rows.append(Unheard(*about, level, word, place, why))
    return sorted(rows, key=lambda row: row.clip)


def reason(waveform: Tensor, level_db: float, nearest: str, place: int, keyword: str) -> str:
    """What can be measured of a clip (samples,) that may explain why it is not heard."""
    if level_db < FAINT_DB:
        return "nearly silent"
    levels = 10 * torch.log10(waveform.unfold(0, PIECE, PIECE).square().mean(1) + 1e-12)
    if levels.max() - levels.median() < STANDS_OUT_DB:
        return "no word stands out of its noise"
    return f"sounds like {nearest!r}" if place > 1 else f"sounds like {keyword!r}: the networks are to blame"


@torch.no_grad()
@one_thread()
def nearest_words(study: Study, clips: Sequence[int], ear: nn.Module) -> tuple[list[str], list[int]]:
    """For each clip the nearest word, and the keyword's place: by the mean of each word's other clips, whitened within words."""
    # What the ear makes of a second, as one vector: mean and deviation of its last layer.
    network, heard, last = stepwise(ear.eval()), [], f"recurrent.{ear.config.layers - 1}"
    for part in study.clips.log_mel.split(BATCH):
        with tap(ear, [last]) as outputs:
            network.whole(part)
        steps = outputs[last]  # (batch, steps, hidden)
        heard.append(torch.cat([steps.mean(1), steps.std(1)], 1))
    x = torch.cat(heard).double().numpy()
    # Linear discriminants (Fisher 1936): distances to the words' means, measured by the spread within words.
    names = np.array([clip.word for clip in study.corpus.clips])
    words = sorted({clip.word for clip in study.corpus.clips})
    known = np.ones(len(x), dtype=bool)
    known[list(clips)] = False
    means = np.stack([x[known & (names == word)].mean(0) for word in words])
    within = np.concatenate([x[known & (names == word)] - mean for word, mean in zip(words, means, strict=True)])
    inverse = np.linalg.inv(within.T @ within / len(within) + 1e-4 * np.eye(x.shape[1]))
    apart = x[list(clips)][:, None] - means  # (clips, words, features)
    distances = np.einsum("cwf,fg,cwg->cw", apart, inverse, apart)
    order = distances.argsort(1)
    place = [int(np.flatnonzero(row == words.index(study.keyword))[0]) + 1 for row in order]
    return [words[row[0]] for row in order], place
