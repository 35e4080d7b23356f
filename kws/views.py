"""From a corpus to what training and evaluation take: labels, log-mels, and augmented views of the training clips."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from kws.data.audio import to_float
from kws.data.augment import WaveformAugmentation, augment_waveforms
from kws.data.corpus import Corpus, load_clips, load_noises
from kws.data.jobs import in_order
from kws.data.storage import digest, file_state, fingerprint
from kws.data.torch_files import cache_file, cached
from kws.features import BATCH, LogMel, log_mels
from kws.split import Split, check_no_leak

VERSION = 4  # of what is cached: raise it when features or augmentation change
ALL_VIEWS = 160_000  # of all training clips together


@dataclass(frozen=True)
class ClipData:
    """A corpus decoded: ``corpus`` holds the usable clips only.

    waveforms (clips, 16000) int16; log_mel (clips, 40, 101) float32, not augmented.
    """

    corpus: Corpus
    waveforms: Tensor
    log_mel: Tensor


@dataclass(frozen=True)
class TrainingData:
    """The clips of one keyword under one split.

    labels (clips,) int64; log_mel (clips, 40, 101); views (n_views, train clips, 40, 101) float16, row ``i`` being clip ``split.train[i]``;
    key names all of it: same key, same data.
    """

    corpus: Corpus
    keyword: str
    split: Split
    labels: Tensor
    log_mel: Tensor
    views: Tensor
    key: str


def decode(corpus: Corpus, cache: str | Path | None = None) -> ClipData:
    """Decode and transform every clip, once. Unusable files are named and left out.

    With a ``cache`` folder the decoded clips are kept there.
    """

    def make() -> dict:
        usable, waveforms, messages = load_clips(corpus)
        return {"names": [clip.name for clip in usable.clips], "waveforms": waveforms, "messages": messages}

    # A changed, added or removed file is noticed by its size and time.
    files = [(clip.name, file_state(clip.path)) for clip in corpus.clips]
    value = cached(cache_file(cache, corpus.name, "clips"), fingerprint(VERSION, files), make)
    for message in value["messages"]:
        tqdm.write(message)
    usable = corpus.without({clip.name for clip in corpus.clips} - set(value["names"]))
    return ClipData(usable, value["waveforms"], log_mels(value["waveforms"]))


def training_data(
    clips: ClipData,
    keyword: str,
    split: Split,
    views: int | None = None,
    augmentation: WaveformAugmentation = WaveformAugmentation(),
    seed: int = 0,
    cache: str | Path | None = None,
    front_end: LogMel | None = None,
) -> TrainingData:
    """Add the augmented views of the training clips, by default ``enough_views`` of each; none (0) are enough to evaluate.

    No clip of another subset goes into the views, not even as babble. Another ``front_end`` hears the same takes.
    """
    check_no_leak(clips.corpus, split)
    views = enough_views(len(split.train)) if views is None else views
    noises = load_noises(clips.corpus)
    # The samples themselves are in the key: the same names with other sound are other views.
    heard = (front_end.n_mels, front_end.spectrum) if front_end else ()
    key = fingerprint(VERSION, split.fingerprint, views, augmentation, seed, digest([clips.waveforms, *noises]), *heard)
    name = f"{views}-views-{split.kind}{fingerprint(heard) if heard else ''}"
    file, takes = cache_file(cache, clips.corpus.name, name) if views else None, (split.train, views, augmentation)
    value = cached(file, key, lambda: {"views": make_views(clips, *takes, seed, front_end or LogMel())})
    log_mel, labels = log_mels(clips.waveforms, front_end) if front_end else clips.log_mel, clips.corpus.labels(keyword)
    return TrainingData(clips.corpus, keyword, split, labels, log_mel, value["views"], fingerprint(key, keyword))


def enough_views(clips: int) -> int:
    """Views of each of so many training clips: 160,000 in all (1.3 GB), but 4 to 24 of each."""
    # The fewer the clips, the more views: 24 instead of 8 of 6,600 clips halved 1 - AUC on folds
    # (without the worst hundredth of the keyword clips); 48 were no better.
    return min(max(ALL_VIEWS // max(clips, 1), 4), 24)


def make_views(
    clips: ClipData, train: np.ndarray, views: int, augmentation: WaveformAugmentation, seed: int, front_end: LogMel
) -> Tensor:
    """(views, train clips, n_mels, frames) float16; the same takes for any front end, and for any number of processes: each batch has its own random numbers."""
    # A job is a batch of clips in one view.
    noises = load_noises(clips.corpus)
    jobs = [(view, start) for view in range(views) for start in range(0, len(train), BATCH)]

    def make(job: tuple[int, int]) -> np.ndarray:
        generator = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, *job]).generate_state(1)[0]))
        batch = train[job[1] : job[1] + BATCH]
        # Only training clips are babble: no clip of another subset reaches a view.
        others = train[torch.randint(len(train), (len(batch),), generator=generator)]
        waveforms, babble = (to_float(clips.waveforms[torch.from_numpy(i)]) for i in (batch, others))
        return front_end(augment_waveforms(waveforms, noises, babble, augmentation, generator)).half().numpy()

    shape = (views, len(train), front_end.n_mels, front_end.spectrum.frames_in(clips.waveforms.shape[1]))
    result = torch.empty(shape, dtype=torch.float16)
    made = in_order(make, jobs, f"augmenting, {views} views", "clip", lambda job: min(BATCH, len(train) - job[1]))
    for (view, start), batch in zip(jobs, made, strict=True):
        result[view, start : start + BATCH] = torch.from_numpy(batch)
    return result
