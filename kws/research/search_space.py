"""What a search chooses from, as data; what a choice means as front end and network; and what it costs.

Every front end is computed from the waveform: nothing is guessed from another one's log-mel. A *spectrum* is computed once for all
trials, every 10 ms in narrow bands. A longer hop leaves frames out and wider bands sum powers, both as if computed so, but for the least powers.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from torch import Tensor

from kws.compress import fold_batch_norm
from kws.data.audio import SAMPLE_RATE
from kws.data.spectrum import Spectrum
from kws.data.storage import fingerprint
from kws.data.tensors import store
from kws.data.torch_files import saved
from kws.distill import DistillConfig
from kws.features import N_MELS
from kws.model import build
from kws.research.own_front import OwnFrontConfig
from kws.research.whole_cost import whole_cost


class Fine(NamedTuple):
    """frames: every 10 ms. bands: mel bands from 0 Hz to half the rate."""

    frames: Spectrum
    bands: int


@dataclass(frozen=True)
class Logarithmic:
    """Any number between two, by its logarithm."""

    low: float
    high: float


SPECTRA = {
    "16 kHz, 400": Fine(Spectrum(), N_MELS),  # that of ``kws.features``
    "16 kHz, 256": Fine(Spectrum(16_000, 256), 20),
    "8 kHz, 200": Fine(Spectrum(8_000, 200), 32),
    "8 kHz, 128": Fine(Spectrum(8_000, 128), 16),
}
SPACE: dict[str, tuple | range | Logarithmic] = {
    "spectrum": tuple(SPECTRA),
    "hop": range(1, 5),  # times 10 ms
    "merged": (1, 2, 4),  # neighbouring bands of the spectrum in one
    "pool_bands": range(1, 5),
    "pool_frames": range(1, 5),
    "channels": range(2, 17),
    "kernel_bands": range(2, 13),
    "kernel_frames": range(2, 11),
    "stride_bands": range(1, 5),
    "stride_frames": range(1, 5),
    "separable": (False, True),
    "rnn": ("gru", "rnn", "mgu"),
    "hidden": range(4, 33),
    "layers": range(1, 3),
    "attention": ("linear", "mlp"),
    "logits": (0.0, 0.5, 0.9),  # weight of the teacher's; the labels have the rest
    "ranking": (0.0, 0.3, 1.0),
    "learning_rate": Logarithmic(3e-3, 3e-2),
    "weight_decay": (0.01, 0.1),
}
"""By name: one of a tuple, a whole number of a range, or a number between two. Kernels and pools are cut to what is there."""

BEYOND = {
    **{"spectrum": "16 kHz, 400", "hop": 1, "merged": 1, "pool_bands": 3, "pool_frames": 4},
    **{"channels": 12, "kernel_bands": 10, "kernel_frames": 4, "stride_bands": 4, "stride_frames": 2},
    **{"separable": False, "rnn": "gru", "hidden": 12, "layers": 1, "attention": "linear"},
    **{"logits": 0.9, "ranking": 1.0, "learning_rate": 1e-2, "weight_decay": 0.1},
}
CHEAPEST = BEYOND | {
    **{"spectrum": "8 kHz, 128", "hop": 4, "merged": 4, "pool_bands": 4, "channels": 2, "kernel_bands": 2},
    **{"kernel_frames": 4, "stride_frames": 4, "separable": True, "rnn": "rnn", "hidden": 4},
}
NARROW = BEYOND | {"spectrum": "8 kHz, 128", "hop": 2, "pool_bands": 2, "pool_frames": 2, "kernel_bands": 8}
STARTS = (
    BEYOND,
    CHEAPEST,
    BEYOND | {"hop": 2, "pool_frames": 2},
    BEYOND | {"spectrum": "8 kHz, 200", "hop": 2, "pool_bands": 2, "pool_frames": 2, "kernel_bands": 12, "channels": 8},
    BEYOND | {"spectrum": "16 kHz, 256", "hop": 2, "pool_bands": 2, "pool_frames": 2},
    NARROW,
    NARROW | {"channels": 8, "hidden": 8},
    NARROW | {"channels": 8, "hidden": 6, "stride_frames": 3},
)
"""Tried first: the network that was found by hand, the cheapest of the space, and the first behind cheaper front ends."""


def space_version() -> str:
    """A name of all that can be chosen, and of how bytes are counted: of another space it is another."""
    return fingerprint(SPACE, SPECTRA, "packed files in the older format")


@dataclass(frozen=True)
class FrontEnd:
    """spectrum: a name in ``SPECTRA``. hop: times 10 ms. merged: neighbouring bands in one, a divisor of the spectrum's."""

    spectrum: str
    hop: int = 1
    merged: int = 1

    @property
    def bands(self) -> int:
        """What the network hears of a frame."""
        return SPECTRA[self.spectrum].bands // self.merged

    @property
    def frames(self) -> Spectrum:
        """Those of a detector that has this front end and no other."""
        fine = SPECTRA[self.spectrum].frames
        return replace(fine, hop=self.hop * fine.hop, merged=self.merged)

    def derive(self, log_mel: Tensor) -> Tensor:
        """Its log-mel (..., bands, frames) of that of its spectrum (..., spectrum's bands, 101): the log of the mean power of merged bands."""
        kept = log_mel[..., :: self.hop]
        if self.merged == 1:
            return kept
        return kept.unflatten(-2, (self.bands, self.merged)).logsumexp(-2) - math.log(self.merged)


@dataclass(frozen=True)
class Candidate:
    """One choice: front end, network, and how it learns."""

    front_end: FrontEnd
    network: OwnFrontConfig
    distill: DistillConfig
    learning_rate: float
    weight_decay: float

    def multiplications(self) -> int:
        """A second of sound, from samples to a probability."""
        return whole_cost(build(self.network).eval(), 0).multiplications

    def bytes(self) -> int:
        """Of the network's file as int8, packed, batch norm folded."""
        network = fold_batch_norm(build(self.network).eval())
        return len(saved(store(network.state_dict(), "int8", packed=True), small=True))

    def __str__(self) -> str:
        front, net = self.front_end, self.network
        conv = f"C{net.channels} k{net.kernel} s{net.stride}{' separable' if net.separable else ''}".replace(", ", ",")
        heard = f"{front.spectrum} points, {10 * front.hop} ms, {front.bands} bands, pool {net.pool[0]}x{net.pool[1]}"
        return f"{heard}; {conv} {net.rnn} {net.hidden}x{net.layers} {net.attention}"


def candidate(chosen: dict[str, Any]) -> Candidate:
    """What a choice of all names in ``SPACE`` means. Every choice is a network: what is too wide is cut."""
    front_end = FrontEnd(chosen["spectrum"], chosen["hop"], chosen["merged"])
    # Pools and kernels take at most what there is before them.
    pool = (min(chosen["pool_bands"], front_end.bands), chosen["pool_frames"])
    kernel = (
        min(chosen["kernel_bands"], front_end.bands // pool[0]),
        min(chosen["kernel_frames"], front_end.frames.frames_in(SAMPLE_RATE) // pool[1]),
    )
    network = OwnFrontConfig(
        n_mels=front_end.bands,
        spectrum=front_end.frames,
        pool=pool,
        channels=chosen["channels"],
        kernel=kernel,
        stride=(chosen["stride_bands"], min(chosen["stride_frames"], kernel[1])),  # a stream hears every frame
        norm=True,
        relu=True,
        **{name: chosen[name] for name in ("separable", "rnn", "hidden", "layers", "attention")},
    )
    distill = DistillConfig(
        labels=round(1 - chosen["logits"], 3), logits=chosen["logits"], temperature=2.0, ranking=chosen["ranking"]
    )
    return Candidate(front_end, network, distill, chosen["learning_rate"], chosen["weight_decay"])
