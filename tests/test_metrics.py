import itertools

import numpy as np
import pytest

from kws.metrics import at_prevalence, au_fa_fr, fa_fr_curve, one_minus_auc
from kws.research.measured import bootstrap_interval


def brute_force_area(p, y):
    """FA and FR counted clip by clip at every threshold, and the trapezoids summed one by one."""
    n = len(p)
    points = []
    for t in [*sorted(set(p)), np.inf]:
        alarms = sum(1 for a, b in zip(p, y, strict=True) if a >= t and b == 0) / n
        rejects = sum(1 for a, b in zip(p, y, strict=True) if a < t and b == 1) / n
        points.append((alarms, rejects))
    area = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        area += (x0 - x1) * (y0 + y1) / 2
    return area


def pairs_out_of_order(p, y):
    """1 - AUC by comparing every keyword clip with every other clip."""
    positive, negative = p[y == 1][:, None], p[y == 0][None]
    return ((negative > positive) + 0.5 * (negative == positive)).mean()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("decimals", [1, 12])
def test_area_equals_brute_force(seed, decimals):
    rng = np.random.default_rng(seed)
    y = rng.random(150) < 0.2
    y[:2] = True, False
    p = np.round(np.clip(rng.normal(0.3 + 0.3 * y, 0.2), 0, 1), decimals)  # one decimal makes many ties
    assert au_fa_fr(p, y) == pytest.approx(brute_force_area(p, y), abs=1e-15)
    share = y.mean()
    assert au_fa_fr(p, y) == pytest.approx(share * (1 - share) * pairs_out_of_order(p, y), abs=1e-15)
    assert one_minus_auc(p, y) == pytest.approx(pairs_out_of_order(p, y), abs=1e-15)


def test_area_of_known_cases():
    y = [0, 0, 1, 1]
    assert au_fa_fr([0.1, 0.2, 0.8, 0.9], y) == 0
    assert au_fa_fr([0.9, 0.8, 0.2, 0.1], y) == 0.25  # the whole square of 0.5 by 0.5
    assert au_fa_fr([0.5] * 4, y) == 0.125  # all tied: half of it
    assert au_fa_fr([0.1, 0.8, 0.2, 0.9], y) == 1 / 16  # one pair of four out of order


def test_curve_is_over_all_clips():
    thresholds, alarms, rejects = fa_fr_curve([0.1, 0.4, 0.4, 0.9], [0, 1, 0, 1])
    assert thresholds.tolist() == [0.1, 0.4, 0.9, np.inf]
    assert alarms.tolist() == [0.5, 0.25, 0, 0]
    assert rejects.tolist() == [0, 0, 0.25, 0.5]


def test_prevalence():
    assert at_prevalence(0.0018) == pytest.approx(4.66e-5, rel=0.01)
    assert at_prevalence(0.5, 0.5) == 0.125


def test_many_clips_are_quick():
    rng = np.random.default_rng(0)
    p = rng.random(1_000_000)
    assert one_minus_auc(p, rng.random(1_000_000) < 0.03) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("p", "y", "message"),
    [
        ([0.1, np.nan], [0, 1], "NaN"),
        ([0.1, 0.2], [0, 2], "labels"),
        ([0.1, 0.2], [0, 0], "both kinds"),
        ([0.1, 0.2], [1, 1], "both kinds"),
        ([0.1, 0.2], [0, 1, 1], "one length"),
        ([], [], "both kinds"),
    ],
)
def test_bad_scores_are_refused(p, y, message):
    with pytest.raises(ValueError, match=message):
        au_fa_fr(p, y)


def test_bootstrap_interval_covers_the_truth_about_as_often_as_it_says():
    # Scores N(0, 1) and N(2, 1): 1 - AUC = Phi(-2 / sqrt 2) = 0.0786.
    rng = np.random.default_rng(1)
    y = np.repeat([0, 1], [300, 100])
    inside = 0
    for i in range(60):
        low, high = bootstrap_interval(rng.normal(2.0 * y, 1), y, resamples=200, seed=i)
        assert low < high
        inside += low <= 0.0786 <= high
    assert inside >= 50


def test_bootstrap_is_that_of_clips_drawn_one_by_one():
    rng = np.random.default_rng(3)
    y = np.repeat([0, 1], [70, 30])
    models = rng.normal(1.0 * y, 1, (2, 100)).round(1)
    generator, values = np.random.default_rng(0), []
    for _ in range(50):
        clips = np.concatenate([generator.choice(np.flatnonzero(y == kind), (y == kind).sum()) for kind in (0, 1)])
        values.append(np.mean([pairs_out_of_order(p[clips], y[clips]) for p in models]))
    expected = np.quantile(values, [0.05, 0.95])
    assert bootstrap_interval(models, y, level=0.9, resamples=50) == pytest.approx(expected, rel=1e-12)


def test_bootstrap_of_several_models_is_of_their_mean():
    rng = np.random.default_rng(2)
    y = np.repeat([0, 1], [300, 100])
    models = rng.normal(1.5 * y, 1, (3, 400))
    low, high = bootstrap_interval(models, y, resamples=300)
    mean = np.mean([one_minus_auc(p, y) for p in models])
    assert low < mean < high
    assert (low, high) == bootstrap_interval(models, y, resamples=300)
