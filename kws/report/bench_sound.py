"""What ``kws bench`` plays: recordings one after another, in quiet or in noise, the same samples to every engine."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from kws.data.acoustics import cut_noise, noise_gain
from kws.data.audio import SAMPLE_RATE, AudioError, read_audio, to_float, to_int16
from kws.data.corpus import CorpusError
from kws.data.jobs import in_order
from kws.scenes.recorded import sound_files

HOP = SAMPLE_RATE // 100
SPOKEN_DB = 20.0  # below the loudest hundredth of a second of a recording: still speech
AROUND_WORDS = 1.0  # seconds before and after each recording of the word: two between neighbours
AROUND_TALK = 0.25  # the same of talk


@dataclass(frozen=True)
class Played:
    """A stream. Engines are reset at its beginning, and nowhere else.

    Attributes:
        blocks: a recording each, with what is around it, (samples,) int16.
        spans: where each recording lies in the stream, (start, end) in seconds.
    """

    blocks: list[np.ndarray]
    spans: list[tuple[float, float]]

    @property
    def seconds(self) -> float:
        """Of the recordings alone, without what is around them."""
        return sum(end - start for start, end in self.spans)


def read_folders(folders: Sequence[str | Path], title: str) -> dict[Path, Tensor]:
    """The recordings (samples,) int16 below folders, by file. One that cannot be read, or is silent, is named and left out.

    Raises ``FileNotFoundError`` for a folder without sound files, and ``CorpusError`` if none of them can be used.
    """
    paths = list(dict.fromkeys(path.resolve() for folder in folders for path in sound_files(folder)))

    def read(path: Path) -> np.ndarray | str:
        try:
            waveform = to_int16(read_audio(path)).numpy()
        except AudioError as error:
            return str(error)
        return waveform if waveform.any() else f"{path}: is silent"

    found = dict(zip(paths, in_order(read, paths, f"reading {title}", "file"), strict=True))
    errors = [message for message in found.values() if isinstance(message, str)]
    for message in errors:
        tqdm.write(f"left out: {message}")
    if len(errors) == len(found):
        raise CorpusError(f"none of the {len(errors)} sound files of {title} can be used; the first: {errors[0]}")
    return {path: torch.from_numpy(sound) for path, sound in found.items() if not isinstance(sound, str)}


def second_halves(noises: Sequence[Tensor]) -> list[Tensor]:
    """Of each noise (samples,) the second half: networks of this project are trained on the first halves."""
    return [noise[len(noise) // 2 :] for noise in noises]


def spoken_power(waveform: Tensor) -> Tensor:
    """Mean square (1,) of what is spoken in a waveform (samples,): hops of 10 ms within 20 dB of the loudest.

    The pauses of a recording, which are most of it where a word is said once, do not count.
    """
    whole = torch.nn.functional.pad(waveform.double(), (0, -len(waveform) % HOP))
    powers = whole.reshape(-1, HOP).square().mean(1)
    return powers[powers >= powers.max() * 10 ** (-SPOKEN_DB / 10)].mean(0, keepdim=True)


def in_noise(sound: Tensor, spoken: Tensor, noise: Tensor, snr_db: float) -> Tensor:
    """Sound (samples,) with noise (samples,) so many dB below its spoken power (1,); all fainter where it would clip."""
    mixture = sound + noise_gain(spoken, noise, snr_db).float() * noise
    return mixture / mixture.abs().max().clamp_min(1)


def played(
    recordings: Sequence[Tensor],
    around: float,
    noises: Sequence[Tensor] = (),
    snr_db: float = 10.0,
    seed: Sequence[int] = (0,),
) -> Played:
    """Recordings (samples,) int16 as a stream.

    Args:
        around: seconds of silence before and after each, or of the recording's noise.
        noises: of which each recording gets a random stretch; none is quiet.
        snr_db: of what is spoken in a recording against its noise.
        seed: the same one gives the same stream.
    """
    rng, pad = np.random.default_rng(seed), round(around * SAMPLE_RATE)
    blocks, spans, length = [], [], 0
    for recording in recordings:
        block = torch.nn.functional.pad(recording, (pad, pad))
        if len(noises):
            noise = cut_noise(noises, len(block), lambda n: int(rng.integers(n)))
            block = to_int16(in_noise(to_float(block), spoken_power(to_float(recording)), noise, snr_db))
        blocks.append(block.numpy())
        start = length + pad
        spans.append((start / SAMPLE_RATE, (start + len(recording)) / SAMPLE_RATE))
        length += len(block)
    return Played(blocks, spans)
