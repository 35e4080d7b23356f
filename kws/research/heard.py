"""The clips of a study as each network hears them, through its own front end, as recorded or in noise."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from kws.data.storage import fingerprint
from kws.features import LogMel, log_mels
from kws.research.conditions import RECORDED, in_noise
from kws.research.networks import RUNGS, STORED, Rung
from kws.research.own_front import own_front_end
from kws.research.settings import Settings
from kws.targets import Targets
from kws.views import ClipData, TrainingData, enough_views

FEW_VIEWS = 8
Sets = dict[str, TrainingData]  # by kind of split


def front_end(name: str) -> LogMel | None:
    """That of a network by its name; None is the usual one."""
    return own_front_end(RUNGS[STORED[name].source if name in STORED else name].config)


def views_of(own: LogMel | None, settings: Settings, clips: int) -> int:
    """How many views of each training clip: fewer for a front end of its own, which none are there of yet, but with full effort."""
    usual = settings.views or enough_views(clips)
    return usual if own is None or settings.effort == "full" else min(usual, FEW_VIEWS)


def as_heard(said: Targets, rung: Rung, settings: Settings, clips: int) -> Targets:
    """What teachers say of a take holds whatever it is heard through; a network takes the targets of the views that it has."""
    views = views_of(own_front_end(rung.config), settings, clips)
    return replace(said, n_mels=rung.config.n_mels, logits=torch.cat([said.logits[:views], said.logits[-1:]]))


def frames_of(own: LogMel | None) -> tuple:
    """What tells front ends apart."""
    return (own.n_mels, own.spectrum) if own else ()


def through(clips: ClipData, data: TrainingData, own: LogMel | None) -> TrainingData:
    """The same clips through another front end."""
    if own is None:
        return data
    return replace(data, log_mel=log_mels(clips.waveforms, own), key=fingerprint(data.key, *frames_of(own)))


def heard(
    clips: ClipData,
    sets: Sets,
    names: Sequence[str],
    snr_db: float | None = None,
    noise: str = RECORDED,
    subset: str = "test",
) -> dict[str, Sets]:
    """What each network hears; ``snr_db`` adds the same noise to the clips of a subset for all."""
    made: dict[tuple, Sets] = {}
    for own in map(front_end, names):
        # Networks of one front end share what they hear.
        if frames_of(own) not in made:
            found = {kind: through(clips, data, own) for kind, data in sets.items()}
            if snr_db is not None:
                how = {"subset": subset, "noise": noise, "front_end": own}
                found = {kind: in_noise(clips, data, snr_db, **how) for kind, data in found.items()}
            made[frames_of(own)] = found
    return {name: made[frames_of(front_end(name))] for name in names}
