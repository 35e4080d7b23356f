"""A ruler over saved networks: its conditions, what it compares, and that it agrees with the paired measure."""

import numpy as np
import pytest
from conftest import untrained_study

from kws.research.conditions import in_noise
from kws.research.paired import paired
from kws.research.ruler import FEW_RESAMPLES, resolution, ruler
from kws.research.study import KINDS, NotTrained
from kws.research.unheard import UNHEARD


@pytest.fixture(scope="module")
def study(tone_folder, tmp_path_factory):
    """Untrained networks, two seeds each; the RNN on one kind of split alone."""
    names = {"base": KINDS, "beyond": KINDS, "rnn": ("published",)}
    with untrained_study(tmp_path_factory.mktemp("ruler"), tone_folder, names) as found:
        yield found


@pytest.fixture(scope="module")
def rows(study):
    return ruler(study, "beyond", "rnn", snrs=(5.0, 0.0))


def test_every_network_is_compared_under_every_condition_of_its_splits(rows):
    conditions = ["as recorded", "confusable words", "unheard noise, 5 dB", "unheard noise, 0 dB", "unheard noise, all"]
    published = [("published", c, name) for c in conditions for name in ("beyond", "2: RNN")]
    disjoint = [("speaker-disjoint", c, "beyond") for c in conditions]
    assert [(r.split, r.condition, r.network) for r in rows] == published + disjoint
    assert all(r.paired.low <= r.paired.ratio <= r.paired.high for r in rows)
    assert {r.seeds for r in rows} == {2}


def test_in_noise_it_is_the_mean_over_seeds_and_kinds(study, rows):
    found = next(r for r in rows if (r.split, r.condition) == ("speaker-disjoint", "unheard noise, 0 dB"))
    runs = {"base": [], "beyond": []}
    for noise in UNHEARD:
        data = in_noise(study.clips, study.sets["speaker-disjoint"], 0.0, noise=noise)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(study.sets, "speaker-disjoint", data)
            for name, judged in runs.items():
                judged += [study.judged(name, "speaker-disjoint", seed) for seed in range(2)]
    speakers = [study.corpus.clips[i].speaker for i in study.splits["speaker-disjoint"].test]
    expected = paired(runs["beyond"], runs["base"], speakers, resamples=FEW_RESAMPLES)
    assert found.paired == expected
    assert (found.clips, found.paired.speakers) == (len(speakers), 4)
    measured = [study.measure("beyond", snr_db=0.0, noise=noise)[0] for noise in UNHEARD]
    areas = [row.quality["speaker-disjoint"].one_minus_auc[0] for row in measured]
    assert found.paired.one_minus_auc == pytest.approx(np.mean(areas))


def test_confusable_words_are_fewer_clips_with_all_keywords(study, monkeypatch):
    monkeypatch.setattr("kws.research.ruler.confusable_words", lambda words, said: ["rise"])
    (recorded, alike, *_) = ruler(study, "beyond", snrs=(), noises=())[:2]
    assert (recorded.condition, alike.condition) == ("as recorded", "confusable words")
    test = [study.corpus.clips[i].word for i in study.splits["published"].test]
    assert alike.clips == sum(word in ("low", "rise") for word in test) < recorded.clips == len(test)
    assert alike.keyword_clips == recorded.keyword_clips == test.count("low")


def test_a_network_against_itself_is_one(study):
    assert {(r.paired.low, r.paired.high) for r in ruler(study, "base", snrs=(0.0,), noises=("babble",))} == {(1, 1)}


def test_a_network_that_is_not_there_is_named(study):
    with pytest.raises(NotTrained, match="gru_small"):
        ruler(study, "gru_small")


def test_what_it_tells_apart_has_one_in_the_middle(study):
    found = resolution(study, "rnn", noises=("babble",), snrs=(0.0,))
    assert list(found) == ["published"]
    below, above = found["published"]
    assert 0 < below < 1 < above
    assert resolution(study, "base", noises=("babble",), snrs=(0.0,)) == dict.fromkeys(study.splits, (1, 1))
