"""Two networks on the same clips: how many times the error of one is that of the other, with an interval over speakers.

A handful of clips that nobody can hear decides 1 - AUC. They are the same for both networks, so the ratio is known better than either.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kws.metrics import one_minus_auc

Judged = tuple[np.ndarray, np.ndarray]  # probabilities and labels, both (clips,)
RESAMPLES = 2000


@dataclass(frozen=True)
class Paired:
    """1 - AUC of a network over that of another.

    Attributes:
        ratio: below 1 the network is better; infinite where only the other makes no error, 1 where neither makes any.
        low, high: ends of its interval.
        one_minus_auc, of_other: the two means, in [0, 1].
        speakers: how many were resampled.
    """

    ratio: float
    low: float
    high: float
    one_minus_auc: float
    of_other: float
    speakers: int


def paired(
    network: Sequence[Judged],
    other: Sequence[Judged],
    speakers: Sequence[str],
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Paired:
    """Compare two networks on the same clips, by percentile bootstrap over speakers (Efron and Tibshirani 1993, ch. 13).

    Args:
        network: (probabilities, labels) of each seed; or of each seed in each of several noises, then of their mean.
        other: likewise of the other network; it may have another number of seeds.
        speakers: (clips,) who says each clip.
        level: coverage of the interval, between 0 and 1.

    A resample is of as many speakers as there are, each with all clips; one without both kinds of clips is drawn again.
    Raises ``ValueError`` for labels that differ, or probabilities that ``kws.metrics`` refuses.
    """
    labels = _same_labels(network, other, len(speakers))
    errors = [float(np.mean([one_minus_auc(p, y) for p, y in judged])) for judged in (network, other)]
    # How often each speaker is drawn, and so each clip.
    speaker, said = _by_speaker(speakers, labels)
    times = _drawn(np.ones(len(said)), said, resamples, np.random.default_rng(seed))[:, speaker]
    # Both networks in the same resamples; what the two divide by is the same, and is left out.
    wrong = [resampled(wrong_pairs(judged), times, labels) for judged in (network, other)]
    low, high = _interval(_ratio(*wrong), level)
    return Paired(float(_ratio(*map(np.array, errors))), low, high, *errors, len(said))


def told_apart(
    network: Sequence[Judged],
    other: Sequence[Judged],
    speakers: Sequence[str],
    share: float = 0.8,
    level: float = 0.95,
    test_sets: int = 100,
    resamples: int = 400,
    seed: int = 0,
) -> tuple[float, float]:
    """Below and above which ratio a network is told from another: its interval leaves out 1 in this share of test sets.

    Simulated. Test sets are resamples of the speakers. The network errs where this one does, but each of its wrong pairs
    counts less, or more, so that it has the ratio in question. So the two disagree as much as networks do.
    Takes what ``paired`` takes, and raises as it does. NaN where the other never errs.
    """
    labels = _same_labels(network, other, len(speakers))
    speaker, said = _by_speaker(speakers, labels)
    wrong, rng = [wrong_pairs(judged) for judged in (network, other)], np.random.default_rng(seed)
    ends = []
    for present in _drawn(np.ones(len(said)), said, test_sets, rng):
        # What paired would say of this test set.
        times = _drawn(present, said, resamples, rng)[:, speaker]
        ends.append(_interval(_ratio(*(resampled(pairs, times, labels) for pairs in wrong)), level))
    # Counting wrong pairs f times makes ratio and ends f times as large: f is such that a share of the ends passes 1.
    ratio = _ratio(*(pairs.mean() for pairs in wrong))
    low, high = np.array(ends).T
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(ratio / np.quantile(high, share)), float(ratio / np.quantile(low, 1 - share))


def wrong_pairs(judged: Sequence[Judged]) -> np.ndarray:
    """(keyword clips, other clips): share of the runs in which the other scores above the keyword; a tie counts half."""
    labels = judged[0][1] == 1
    pairs = [(p[labels][:, None], p[~labels][None]) for p, _ in judged]
    return np.mean([(other > keyword) + 0.5 * (other == keyword) for keyword, other in pairs], axis=0)


def resampled(wrong: np.ndarray, times: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Wrong pairs (resamples,) where clips occur so many ``times`` (resamples, clips)."""
    return ((times[:, labels == 1] @ wrong) * times[:, labels != 1]).sum(1)


def _by_speaker(speakers: Sequence[str], labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each clip's speaker (clips,), and how many clips of either kind each speaker says (speakers, 2)."""
    people, speaker = np.unique(np.asarray(speakers), return_inverse=True)
    said = [np.bincount(speaker, labels == kind, len(people)) for kind in (0, 1)]
    return speaker, np.stack(said, 1)


def _drawn(present: np.ndarray, said: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """How often each speaker is drawn in each resample (count, speakers), of a crowd in which each is ``present`` so many times."""
    size, lacking = int(present.sum()), np.ones(count, dtype=bool)
    times = np.zeros((count, len(present)))
    while lacking.any():
        times[lacking] = rng.multinomial(size, present / size, lacking.sum())
        lacking = ~(times @ said > 0).all(1)
    return times


def _interval(ratios: np.ndarray, level: float) -> tuple[float, float]:
    """By ratios that occurred, for some may be infinite."""
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return float(low), float(high)


def _ratio(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((one == 0) & (other == 0), 1.0, one / other)


def _same_labels(network: Sequence[Judged], other: Sequence[Judged], clips: int) -> np.ndarray:
    if not (network and other):
        raise ValueError("there is nothing to compare: give the probabilities of one seed of each network at least")
    labels = np.asarray(network[0][1])
    for _, theirs in [*network, *other]:
        if not np.array_equal(labels, theirs):
            raise ValueError(
                f"the networks were judged on different clips: {len(labels)} labels against {len(theirs)}, or in another order"
            )
    if clips != len(labels):
        raise ValueError(f"{len(labels)} clips were judged, but {clips} speakers are given: one a clip is needed")
    return labels
