"""Where networks lie on the front: against the base on the same validation clips, never on test clips."""

import numpy as np
import pytest
from conftest import write_networks

from kws.evaluate import judge
from kws.metrics import one_minus_auc
from kws.research.conditions import in_noise
from kws.research.front import Placed, placed, validation_errors
from kws.research.ruler import SNRS
from kws.research.settings import Settings
from kws.research.study import Study
from kws.research.unheard import UNHEARD


@pytest.fixture(scope="module")
def study(tone_folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("front"))
        patch.setenv("KWS_JOBS", "1")
        found = Study(Settings(str(tone_folder), "low", seeds=2, cache="cache"))
        write_networks(found, {"base": tuple(found.splits), "beyond": tuple(found.splits), "rnn": ("published",)})
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
    found = placed(study, rows)
    assert found[0] == Placed("base", rows[0].multiplications, 1.0)
    strangers = validation_errors(study, ["base", "beyond"], "speaker-disjoint")
    assert found[1].times_base == pytest.approx(strangers["beyond"] / strangers["base"])
    known = validation_errors(study, ["base", "rnn"], "published")
    assert found[2].times_base == pytest.approx(known["rnn"] / known["base"])
