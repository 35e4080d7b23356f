"""The clips of a study as each network hears them, through its own front end, as recorded or in noise."""

from collections.abc import Sequence
from dataclasses import replace

from kws.data.storage import fingerprint
from kws.features import LogMel, log_mels
from kws.research.conditions import RECORDED, in_noise
from kws.research.networks import RUNGS, STORED
from kws.research.own_front import own_front_end
from kws.research.settings import Settings
from kws.views import ClipData, TrainingData, enough_views

FEW_VIEWS = 10  # of a training clip, but with full effort: a default run makes and teaches them itself
Sets = dict[str, TrainingData]  # by kind of split


def front_end(name: str) -> LogMel | None:
    """That of a network by its name; None is the usual one."""
    return own_front_end(RUNGS[STORED[name].source if name in STORED else name].config)


def few_views(settings: Settings) -> tuple[int, ...]:
    """The most views of a training clip, if they are limited."""
    return () if settings.effort == "full" else (FEW_VIEWS,)


def views_of(settings: Settings, clips: int) -> int:
    """How many views there are of each of so many training clips."""
    return settings.views or min([enough_views(clips), *few_views(settings)])


def frames_of(own: LogMel | None) -> tuple:
    """What tells front ends apart."""
    return (own.n_mels, own.spectrum) if own else ()


class Recorded:
    """``recorded(own)``: the clips of each kind of split as recorded, through a front end; its log-mels are made once."""

    def __init__(self, clips: ClipData, sets: Sets):
        self.clips, self._made = clips, {frames_of(None): sets}

    def __call__(self, own: LogMel | None = None) -> Sets:
        if (key := frames_of(own)) not in self._made:
            log_mel, sets = log_mels(self.clips.waveforms, own), self._made[frames_of(None)]
            self._made[key] = {
                kind: replace(data, log_mel=log_mel, key=fingerprint(data.key, *key)) for kind, data in sets.items()
            }
        return self._made[key]


def heard(
    recorded: Recorded,
    owns: dict[str, LogMel | None],
    kinds: Sequence[str],
    snr_db: float | None = None,
    noise: str = RECORDED,
    subset: str = "test",
) -> dict[str, Sets]:
    """What each network hears on some kinds of split; ``snr_db`` adds the same noise to the clips of a subset for all.

    ``owns`` has the front ends by network, None being the usual one.
    """
    made: dict[tuple, Sets] = {}
    for own in owns.values():
        # Networks of one front end share what they hear.
        if frames_of(own) not in made:
            found = {kind: recorded(own)[kind] for kind in kinds}
            if snr_db is not None:
                how = {"subset": subset, "noise": noise, "front_end": own}
                found = {kind: in_noise(recorded.clips, data, snr_db, **how) for kind, data in found.items()}
            made[frames_of(own)] = found
    return {name: made[frames_of(own)] for name, own in owns.items()}
