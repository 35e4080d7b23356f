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
    labels = _same_labels([*network, *other], len(speakers))
    errors = [float(np.mean([one_minus_auc(p, y) for p, y in judged])) for judged in (network, other)]
    # How often each speaker is drawn, and so each clip.
    people, speaker = np.unique(np.asarray(speakers), return_inverse=True)
    times = _drawn(len(people), speaker, labels, resamples, np.random.default_rng(seed))
    # Both networks in the same resamples; what the two divide by is the same, and is left out.
    wrong = [resampled(wrong_pairs(judged), times, labels) for judged in (network, other)]
    low, high = np.quantile(_ratio(*wrong), [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return Paired(float(_ratio(*map(np.array, errors))), float(low), float(high), *errors, len(people))


def wrong_pairs(judged: Sequence[Judged]) -> np.ndarray:
    """(keyword clips, other clips): share of the runs in which the other scores above the keyword; a tie counts half."""
    labels = judged[0][1] == 1
    pairs = [(p[labels][:, None], p[~labels][None]) for p, _ in judged]
    return np.mean([(other > keyword) + 0.5 * (other == keyword) for keyword, other in pairs], axis=0)


def resampled(wrong: np.ndarray, times: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Wrong pairs (resamples,) where clips occur so many ``times`` (resamples, clips)."""
    return ((times[:, labels == 1] @ wrong) * times[:, labels != 1]).sum(1)


def _drawn(people: int, speaker: np.ndarray, labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """How often each clip occurs in each resample of the speakers: (count, clips)."""
    times = np.zeros((count, len(speaker)))
    lacking = np.ones(count, dtype=bool)
    while lacking.any():
        times[lacking] = rng.multinomial(people, np.full(people, 1 / people), lacking.sum())[:, speaker]
        lacking = ~(times[:, labels == 1].any(1) & times[:, labels != 1].any(1))
    return times


def _ratio(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((one == 0) & (other == 0), 1.0, one / other)


def _same_labels(judged: Sequence[Judged], clips: int) -> np.ndarray:
    if not judged:
        raise ValueError("there is nothing to compare: give the probabilities of one seed at least")
    labels = np.asarray(judged[0][1])
    for _, other in judged:
        if not np.array_equal(labels, other):
            raise ValueError(
                f"the networks were judged on different clips: {len(labels)} labels against {len(other)}, or in another order"
            )
    if clips != len(labels):
        raise ValueError(f"{len(labels)} clips were judged, but {clips} speakers are given: one a clip is needed")
    return labels
