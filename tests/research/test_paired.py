"""Two networks on the same clips: the ratio, its interval over speakers against a twin that repeats clips, and what is refused."""

from dataclasses import astuple

import numpy as np
import pytest

from kws.metrics import one_minus_auc
from kws.research.paired import paired, resampled, told_apart, wrong_pairs


def some_clips(seeds: int = 2, coarse: bool = True) -> tuple[list, list, list[str]]:
    """Two networks' seeds on 120 clips of 15 speakers, with ties where scores are coarse."""
    rng = np.random.default_rng(1)
    labels = (rng.random(120) < 0.3).astype(int)
    speakers = [f"s{i:02d}" for i in rng.integers(15, size=120)]
    heard = labels + rng.normal(0, 0.5, 120)

    def network(noise: float) -> list:
        scores = [heard + rng.normal(0, noise, 120) for _ in range(seeds)]
        return [(np.round(p, 1) if coarse else p, labels) for p in scores]

    return network(0.3), network(0.6), speakers


def twin(network: list, other: list, speakers: list[str], resamples: int, seed: int) -> list[float]:
    """Ratios of resamples in which clips are really repeated."""
    people, clips = sorted(set(speakers)), np.array(speakers)
    rng, ratios = np.random.default_rng(seed), []
    for counts in rng.multinomial(len(people), [1 / len(people)] * len(people), resamples):
        drawn = np.concatenate(
            [np.flatnonzero(clips == person).tolist() * n for person, n in zip(people, counts, strict=True)]
        )
        drawn = drawn.astype(int)
        means = [np.mean([one_minus_auc(p[drawn], y[drawn]) for p, y in judged]) for judged in (network, other)]
        ratios.append(means[0] / means[1])
    return ratios


def test_it_is_what_comes_of_repeating_the_clips():
    network, other, speakers = some_clips()
    found = paired(network, other, speakers, resamples=190, seed=3)
    ratios = np.sort(twin(network, other, speakers, 190, 3))
    assert (found.low, found.high) == pytest.approx((ratios[4], ratios[185]), rel=1e-12)
    errors = [np.mean([one_minus_auc(p, y) for p, y in judged]) for judged in (network, other)]
    assert (found.one_minus_auc, found.of_other) == tuple(errors)
    assert found.ratio == errors[0] / errors[1] < 1
    assert found.speakers == 15


def test_every_clip_once_is_the_measure_itself():
    network, _, speakers = some_clips()
    labels = network[0][1]
    wrong = resampled(wrong_pairs(network), np.ones((1, 120)), labels)[0]
    errors = np.mean([one_minus_auc(p, y) for p, y in network])
    assert wrong / (labels.sum() * (1 - labels).sum()) == pytest.approx(errors, rel=1e-12)
    assert len(speakers) == 120


def test_a_network_against_itself_is_one_with_an_interval_of_no_width():
    network, _, speakers = some_clips()
    assert astuple(paired(network, network, speakers))[:3] == (1, 1, 1)
    assert astuple(paired(network[::-1], network, speakers))[:3] == (1, 1, 1)


def test_better_on_every_clip_is_below_one_throughout():
    _, other, speakers = some_clips()
    better = [(p + 0.3 * y, y) for p, y in other]
    found = paired(better, other, speakers)
    assert found.low <= found.ratio <= found.high < 1
    back = paired(other, better, speakers)
    assert (back.ratio, back.low, back.high) == pytest.approx(
        (1 / found.ratio, 1 / found.high, 1 / found.low), rel=0.01
    )


def test_it_repeats_and_another_seed_draws_others():
    network, other, speakers = some_clips()
    assert paired(network, other, speakers) == paired(network, other, speakers)
    assert paired(network, other, speakers, seed=1).low != paired(network, other, speakers).low


def test_networks_without_errors():
    labels, speakers = np.array([1, 1, 0, 0]), ["a", "b", "a", "b"]
    perfect, wrong = [(labels.astype(float), labels)], [(1.0 - labels, labels)]
    assert astuple(paired(perfect, perfect, speakers)) == (1, 1, 1, 0, 0, 2)
    assert astuple(paired(perfect, wrong, speakers)) == (0, 0, 0, 0, 1, 2)
    assert astuple(paired(wrong, perfect, speakers)) == (np.inf, np.inf, np.inf, 1, 0, 2)


def test_a_resample_of_one_kind_of_clips_is_drawn_again():
    """One of two speakers says the keyword only, so half of all draws lack a kind."""
    labels = np.array([1, 1, 0, 0])
    network = [(np.array([0.9, 0.3, 0.5, 0.1]), labels)]
    assert astuple(paired(network, network, ["a", "a", "b", "b"]))[:4] == (1, 1, 1, 0.25)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, y: (p, 1 - y), "different clips"),
        (lambda p, y: (p[:-1], y[:-1]), "different clips: 120 labels against 119"),
        (lambda p, y: (p * np.nan, y), "NaN"),
    ],
)
def test_other_clips_and_scores_that_are_none_are_refused(change, message):
    network, other, speakers = some_clips()
    with pytest.raises(ValueError, match=message):
        paired(network, [other[0], change(*other[1])], speakers)


def test_a_speaker_a_clip_and_a_seed_are_needed():
    network, other, speakers = some_clips()
    with pytest.raises(ValueError, match="120 clips were judged, but 119 speakers"):
        paired(network, other, speakers[1:])
    with pytest.raises(ValueError, match="nothing to compare"):
        paired(network, [], speakers)


def test_what_is_told_apart_is_so_in_that_share_of_test_sets():
    """Test sets drawn here, of a network whose wrong pairs count so much that it has the ratio in question."""
    network, other, speakers = some_clips()
    below, above = told_apart(network, other, speakers, test_sets=100, resamples=200)
    assert 0 < below < 1 < above
    labels, place = network[0][1], np.unique(speakers, return_inverse=True)[1]
    wrong = [wrong_pairs(judged) for judged in (network, other)]
    rng, seen = np.random.default_rng(7), {below: 0, above: 0}
    for _ in range(100):
        world = rng.multinomial(15, [1 / 15] * 15)
        times = rng.multinomial(15, world / 15, 200)[:, place]
        one, two = (resampled(pairs, times, labels) for pairs in wrong)
        for ratio in seen:
            scaled = one / two * ratio / (wrong[0].mean() / wrong[1].mean())
            low, high = np.quantile(scaled, [0.025, 0.975])
            seen[ratio] += low > 1 or high < 1
    assert all(count == pytest.approx(80, abs=12) for count in seen.values())


def test_networks_that_agree_are_told_apart_by_the_least_difference():
    network, _, speakers = some_clips()
    assert told_apart(network, network, speakers, test_sets=10, resamples=50) == (1, 1)
