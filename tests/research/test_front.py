"""Where networks lie on the front: against the base on the same validation clips, never on test clips."""

from pathlib import Path

import numpy as np
import pytest
from conftest import untrained_study

from kws.evaluate import judge
from kws.metrics import one_minus_auc
from kws.research.conditions import in_noise
from kws.research.front import Placed, front, validation_errors
from kws.research.ruler import SNRS
from kws.research.study import KINDS
from kws.research.unheard import UNHEARD


@pytest.fixture(scope="module")
def study(tone_folder, tmp_path_factory):
    names = {"base": KINDS, "beyond": KINDS, "rnn": ("published",)}
    with untrained_study(tmp_path_factory.mktemp("front"), tone_folder, names) as found:
        yield found


def test_an_error_is_the_mean_over_seeds_and_noises(study):
    found = validation_errors(study, ["base", "beyond"], "speaker-disjoint")
    sets = [
        in_noise(study.clips, study.sets["speaker-disjoint"], s, "validation", noise=n) for n in UNHEARD for s in SNRS
    ]
    models = [study.model("beyond", "speaker-disjoint", seed) for seed in range(2)]
    expected = np.mean([one_minus_auc(*judge(model, data, "validation")) for data in sets for model in models])
    assert found["beyond"] == pytest.approx(expected)


def test_each_is_placed_where_strangers_are_heard_if_it_can_be(study):
    rows = study.measure("base", "beyond", "rnn")
    found, trials = front(study, rows)
    assert trials == []  # no search was made here
    assert found[0] == Placed("base", rows[0].multiplications, 1.0)
    strangers = validation_errors(study, ["base", "beyond"], "speaker-disjoint")
    assert found[1].times_base == pytest.approx(strangers["beyond"] / strangers["base"])
    known = validation_errors(study, ["base", "rnn"], "published")
    assert found[2].times_base == pytest.approx(known["rnn"] / known["base"])


def test_trials_of_this_split_are_placed_against_the_base_too(study):
    split = study.splits["speaker-disjoint"].fingerprint[:12]
    lines = ["split,trial,finished,one_minus_auc,multiplications_all_in"]
    lines += [f"{split},1,yes,2e-1,70000", f"{split},2,no,1e-1,60000", "0123456789ab,3,yes,1e-1,50000"]
    Path("search.csv").write_text("\n".join(lines) + "\n")
    _, trials = front(study, study.measure("base"), "search.csv")
    error = validation_errors(study, ["base"], "speaker-disjoint")["base"]
    assert trials == [Placed("1", 70_000, pytest.approx(0.2 / error))]
