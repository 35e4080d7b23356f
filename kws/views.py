"""From a corpus to what training and evaluation take: labels, log-mels, and augmented views of the training clips."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from kws.data.acoustics import mix_at_snr
from kws.data.audio import to_float
from kws.data.augment import WaveformAugmentation, augment_waveforms, cut_noises
from kws.data.corpus import CLIP_SAMPLES, Corpus, load_clips, load_noises, recorded_noises
from kws.data.jobs import in_order
from kws.data.storage import cached, file_state, fingerprint
from kws.features import BATCH, N_MELS, LogMel, frames_in, log_mels
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

    With a ``cache`` folder the decoded clips are kept there; a changed, added or removed file is noticed by its size and time.
    """

    def make() -> dict:
        usable, waveforms, messages = load_clips(corpus)
        return {"names": [clip.name for clip in usable.clips], "waveforms": waveforms, "messages": messages}

    files = [(clip.name, file_state(clip.path)) for clip in corpus.clips]
    value = cached(_file(cache, corpus, "clips"), fingerprint(VERSION, files), make)
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
) -> TrainingData:
    """Add the augmented views of the training clips, by default ``enough_views`` of each; none (0) are enough to evaluate.

    No clip of another subset goes into the views, not even as babble.
    """
    check_no_leak(clips.corpus, split)
    views = enough_views(len(split.train)) if views is None else views

    def make() -> dict:
        return {"views": _make_views(clips, noises, split.train, views, augmentation, seed)}

    noises = load_noises(clips.corpus)
    key = fingerprint(VERSION, split.fingerprint, views, augmentation, seed, digest([clips.waveforms, *noises]))
    file = _file(cache, clips.corpus, f"{views}-views-{split.kind}") if views else None
    value = cached(file, key, make)
    return TrainingData(
        clips.corpus,
        keyword,
        split,
        clips.corpus.labels(keyword),
        clips.log_mel,
        value["views"],
        fingerprint(key, keyword),
    )


def enough_views(clips: int) -> int:
    """Views of each of so many training clips: 160,000 in all (1.3 GB), but 4 to 24 of each.

    The fewer the clips, the more views: 24 instead of 8 of 6,600 clips halved 1 - AUC on folds (without the worst hundredth of the keyword
    clips); 48 were no better.
    """
    return min(max(ALL_VIEWS // max(clips, 1), 4), 24)


def in_noise(clips: ClipData, data: TrainingData, snr_db: float, subset: str = "test", seed: int = 0) -> TrainingData:
    """The same data with the corpus's noises added to a subset's clips at one SNR, for evaluation in harder conditions."""
    generator = torch.Generator().manual_seed(seed)
    noises = load_noises(clips.corpus)
    log_mel = data.log_mel.clone()
    for batch in torch.from_numpy(data.split[subset]).split(BATCH):
        waveforms = to_float(clips.waveforms[batch])
        noise = cut_noises(noises, *waveforms.shape, generator)
        log_mel[batch] = log_mels(mix_at_snr(waveforms, noise, torch.full((len(batch), 1), snr_db)))
    return replace(data, log_mel=log_mel)


def noise_alone(corpus: Corpus, hop: int = 8000) -> dict[str, Tensor]:
    """Log-mels (pieces, 40, 101) of seconds of noise without any word, one every ``hop`` samples, by recording."""
    return {path.stem: log_mels(noise.unfold(0, CLIP_SAMPLES, hop)) for path, noise in recorded_noises(corpus).items()}


def _make_views(
    clips: ClipData, noises: list[Tensor], train: np.ndarray, views: int, augmentation: WaveformAugmentation, seed: int
) -> Tensor:
    """(views, train clips, n_mels, frames) float16. Every batch has random numbers of its own: any number of processes makes the same."""
    front_end = LogMel()
    jobs = [(view, start) for view in range(views) for start in range(0, len(train), BATCH)]

    def make(job: tuple[int, int]) -> np.ndarray:
        generator = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, *job]).generate_state(1)[0]))
        batch = train[job[1] : job[1] + BATCH]
        # Only training clips are babble: no clip of another subset reaches a view.
        others = train[torch.randint(len(train), (len(batch),), generator=generator)]
        waveforms, babble = (to_float(clips.waveforms[torch.from_numpy(i)]) for i in (batch, others))
        return front_end(augment_waveforms(waveforms, noises, babble, augmentation, generator)).half().numpy()

    result = torch.empty(views, len(train), N_MELS, frames_in(clips.waveforms.shape[1]), dtype=torch.float16)
    made = in_order(make, jobs, f"augmenting, {views} views", "clip", lambda job: min(BATCH, len(train) - job[1]))
    for (view, start), batch in zip(jobs, made, strict=True):
        result[view, start : start + BATCH] = torch.from_numpy(batch)
    return result


def digest(recordings: list[Tensor]) -> str:
    """A checksum of all samples, so that the same names with other sound are noticed."""
    digest = hashlib.sha256()
    for recording in recordings:
        digest.update(recording.numpy())
    return digest.hexdigest()


def _file(cache: str | Path | None, corpus: Corpus, what: str) -> Path | None:
    return None if cache is None else Path(cache) / f"{corpus.name}-{what}.pt"
