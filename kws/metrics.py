"""How good a detector is: false alarms, false rejects, and the area under their curve."""

import numpy as np

SPEECH_COMMANDS_PREVALENCE = 344 / 12_945
"""Share of keyword clips in the published evaluation: 344 ``sheila`` clips among 12,945."""


def _checked(probabilities, labels) -> tuple[np.ndarray, np.ndarray]:
    # What is not a score or a label would be counted silently: it is refused.
    p = np.asarray(probabilities, dtype=np.float64)
    y = np.asarray(labels)
    if p.ndim != 1 or p.shape != y.shape:
        raise ValueError(f"probabilities and labels must be lists of one length, got shapes {p.shape} and {y.shape}")
    if not np.isfinite(p).all():
        raise ValueError(f"{(~np.isfinite(p)).sum()} of {p.size} probabilities are NaN or infinite: it has diverged")
    if not np.isin(y, (0, 1)).all():
        raise ValueError("labels must be 0 (other) or 1 (keyword)")
    y = y.astype(bool)
    if y.all() or not y.any():
        raise ValueError(f"clips of both kinds are needed, got {y.sum()} with the keyword among {y.size}")
    return p, y


def fa_fr_curve(probabilities, labels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False-alarm and false-reject rates at every threshold at which they change.

    Both are shares of **all** N clips: FA(t) = #(p >= t, y = 0) / N and FR(t) = #(p < t, y = 1) / N.

    Args:
        probabilities: (N,) keyword probabilities, or any score that grows with them.
        labels: (N,) of 0 and 1.

    Returns:
        thresholds ascending, ending in +inf; FA, falling to 0; FR, rising from 0. All of one length.
    """
    p, y = _checked(probabilities, labels)
    # At each score that occurs, how many clips of either kind have it.
    thresholds, place = np.unique(p, return_inverse=True)
    positives = np.bincount(place, y)
    negatives = np.bincount(place, ~y)
    # Below the lowest threshold nothing is rejected; above the highest nothing is accepted.
    false_rejects = np.concatenate([[0], np.cumsum(positives)])
    false_alarms = negatives.sum() - np.concatenate([[0], np.cumsum(negatives)])
    return np.append(thresholds, np.inf), false_alarms / p.size, false_rejects / p.size


def au_fa_fr(probabilities, labels) -> float:
    """Area under the (FA, FR) curve over all thresholds, by the trapezoid rule; exact, O(N log N). Lower is better.

    With ties counted half it equals pi (1 - pi) (1 - AUC), where pi is the share of keyword clips and AUC the area
    under the ROC curve: so compare it only between sets of one prevalence, or use ``at_prevalence``.
    Raises ``ValueError`` for NaN scores, labels other than 0 and 1, or a set that lacks one of the two classes.
    """
    _, false_alarms, false_rejects = fa_fr_curve(probabilities, labels)
    # False alarms fall along the curve: turned round, so that the area is positive.
    return float(np.trapezoid(false_rejects[::-1], false_alarms[::-1]))


def one_minus_auc(probabilities, labels) -> float:
    """1 - AUC: the probability that a random other clip scores above a random keyword clip (ties count half)."""
    # The area, freed from how many clips are of the keyword.
    prevalence = float(np.mean(np.asarray(labels) == 1))
    return au_fa_fr(probabilities, labels) / (prevalence * (1 - prevalence))


def at_prevalence(one_minus_auc: float, prevalence: float = SPEECH_COMMANDS_PREVALENCE) -> float:
    """The AU_FA_FR that this 1 - AUC gives where the share of keyword clips is ``prevalence``."""
    return prevalence * (1 - prevalence) * one_minus_auc
