"""A ruler for small differences: networks against one on the same clips, as recorded, in unheard noise, and among words like the keyword."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws.checkpoint import load_model
from kws.data.jobs import in_order
from kws.evaluate import judge_checkpoint
from kws.research.conditions import RECORDED, confusable_words, threshold_at
from kws.research.heard import heard
from kws.research.networks import titles
from kws.research.own_front import own_front_end
from kws.research.paired import RESAMPLES, Judged, Paired, paired, told_apart
from kws.research.study import Study
from kws.research.unheard import UNHEARD

SNRS = (10.0, 5.0, 0.0)  # dB
FEW_RESAMPLES = 500  # of speakers, but with full effort
TEST_SETS, FEW_TEST_SETS = 100, 20  # test sets that are simulated with full effort, and with less
AS_RECORDED, CONFUSABLE_WORDS, UNHEARD_NOISE = "as recorded", "confusable words", "unheard noise, all"
AUDITED = "as recorded, audited clips left out"
FALSE_ACCEPTS = 0.001  # share of all clips, at which misses are told
Place = tuple[str, float]  # a noise and an SNR
CLEAN: Place = (RECORDED, float("inf"))
NOISY: tuple[Place, ...] = tuple((noise, snr_db) for noise in UNHEARD for snr_db in SNRS)


@dataclass(frozen=True)
class Ruled:
    """A network against another under one condition: its title, the kind of split, and what was compared.

    ``missed`` and ``missed_by_other`` are shares of the keyword clips, at a false accept in a thousand clips, means over seeds and noises.
    """

    network: str
    split: str
    condition: str
    seeds: int
    clips: int
    keyword_clips: int
    missed: float
    missed_by_other: float
    paired: Paired


def ruler(
    study: Study,
    *names: str,
    against: str = "base",
    noises: Sequence[str] = tuple(UNHEARD),
    snrs: Sequence[float] = SNRS,
    left_out: Collection[str] = (),
) -> list[Ruled]:
    """Compare saved networks with one of them on the test clips of each kind of split that both were trained on.

    ``left_out`` are clips by name, such as ``kws.research.audit`` finds: as recorded, networks are compared without them as well.
    In noise 1 - AUC is the mean over the kinds of noise, at each SNR (dB) and over all; the same noise is added for every network.
    Only loads and evaluates; by split, then condition, then network.
    """
    # A condition is one or more places; every place is heard once, and serves all conditions that it is in.
    places = [CLEAN, *((noise, snr_db) for snr_db in snrs for noise in noises)]
    conditions = {AS_RECORDED: [CLEAN]} | ({AUDITED: [CLEAN]} if left_out else {}) | {CONFUSABLE_WORDS: [CLEAN]}
    conditions |= {f"unheard noise, {snr_db:g} dB": [p for p in places if p[1] == snr_db] for snr_db in snrs}
    conditions |= {UNHEARD_NOISE: places[1:]} if places[1:] else {}
    judged, rows = judged_at(study, _files(study, against, *names), places), []
    resamples = resamples_of(study)
    for kind in study.files(against):
        clips = [study.corpus.clips[i] for i in study.splits[kind].test]
        like = confusable_words({clip.word for clip in clips} - {study.keyword}, study.settings.say or study.keyword)
        chosen = {
            CONFUSABLE_WORDS: np.array([clip.word in (study.keyword, *like) for clip in clips]),
            AUDITED: np.array([clip.name not in left_out for clip in clips]),
        }
        for condition, within in conditions.items():
            kept = chosen.get(condition, np.ones(len(clips), dtype=bool))
            # All seeds in all noises of the condition; of them the mean is taken.
            runs = {
                name: [(p[kept], y[kept]) for place in within for p, y in judged[kind, place][name]]
                for name in judged[kind, CLEAN]
            }
            speakers = [clip.speaker for clip, keep in zip(clips, kept, strict=True) if keep]
            for name in [name for name in names if name in runs]:
                labels = runs[name][0][1]
                about = (titles(name)[name], kind, condition, len(study.seeds(name)), len(labels), int(labels.sum()))
                about += (missed_share(runs[name]), missed_share(runs[against]))
                rows.append(Ruled(*about, paired(runs[name], runs[against], speakers, resamples=resamples)))
    return rows


def resamples_of(study: Study) -> int:
    """Of speakers, by the study's effort."""
    return RESAMPLES if study.settings.effort == "full" else FEW_RESAMPLES


def missed_share(runs: Sequence[Judged]) -> float:
    """Share of the keyword clips below the lowest threshold with at most ``FALSE_ACCEPTS``, the mean over some runs."""
    return float(np.mean([(p[y == 1] < threshold_at(p, y, FALSE_ACCEPTS)).mean() for p, y in runs]))


def resolution(
    study: Study, name: str, against: str = "base", noises: Sequence[str] = tuple(UNHEARD), snrs: Sequence[float] = SNRS
) -> dict[str, tuple[float, float]]:
    """What the ruler tells apart in unheard noise, by kind of split: in 80 % of test sets a ratio below the first number or above the second.

    Simulated with networks that disagree as these two do (``kws.research.paired.told_apart``).
    """
    places = [(noise, snr_db) for snr_db in snrs for noise in noises]
    judged, found = judged_at(study, _files(study, against, name), places), {}
    for kind in study.files(name):
        runs = [[run for place in places for run in judged[kind, place][one]] for one in (name, against)]
        speakers = [study.corpus.clips[i].speaker for i in study.splits[kind].test]
        found[kind] = told_apart(
            *runs, speakers, test_sets=TEST_SETS if study.settings.effort == "full" else FEW_TEST_SETS
        )
    return found


def _files(study: Study, *names: str) -> dict[str, dict[str, list[Path]]]:
    return {name: study.files(name) for name in names}


def judged_at(
    study: Study, files: dict[str, dict[str, list[Path]]], places: Sequence[Place], subset: str = "test"
) -> dict[tuple[str, Place], dict[str, list[Judged]]]:
    """What each seed of each network says of a subset's clips, by kind of split and place, each through its own front end.

    ``files`` are checkpoints by network and kind of split; the first network's kinds count.
    """
    # The clips as recorded are made once, before the processes part.
    owns = {name: own_front_end(load_model(next(iter(its.values()))[0]).config) for name, its in files.items()}
    for own in owns.values():
        study.recorded(own)

    def judge(job: tuple[str, Place]) -> dict[str, list[Judged]]:
        kind, (noise, snr_db) = job
        here = {name: own for name, own in owns.items() if kind in files[name]}
        where = {} if job[1] == CLEAN else {"snr_db": snr_db, "noise": noise}
        data = heard(study.recorded, here, [kind], subset=subset, **where)
        return {name: [judge_checkpoint(path, data[name][kind], subset) for path in files[name][kind]] for name in here}

    jobs = [(kind, place) for kind in next(iter(files.values())) for place in places]
    return dict(zip(jobs, in_order(judge, jobs, progress=False), strict=True))
