"""Networks with front ends of their own: views of the same takes, teachers' targets of those views, clips to be judged on."""

from dataclasses import replace

import pytest
import torch
from conftest import write_networks

from kws.features import front_end_of, log_mels
from kws.research import heard as module
from kws.research.conditions import in_noise
from kws.research.heard import front_end, heard
from kws.research.networks import GRU_SMALL, RUNGS
from kws.research.settings import Settings
from kws.research.study import KINDS, Study


@pytest.fixture(scope="module")
def study(tone_folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("heard"))
        patch.setenv("KWS_JOBS", "1")
        patch.setitem(RUNGS, "teacher", replace(RUNGS["teacher"], config=GRU_SMALL))
        patch.setattr(module, "FEW_VIEWS", 2)
        found = Study(Settings(str(tone_folder), "low", seeds=1, epochs=1, views=3, cache="cache"))
        write_networks(found, {"teacher": tuple(found.splits)}, seeds=4)
        yield found


def test_it_takes_the_targets_of_the_views_that_it_has(study):
    rung = replace(RUNGS["balanced"], also=())
    own, usual = study.training("published", "balanced"), study.training("published")
    assert (len(own.views), len(usual.views)) == (2, 3)
    assert own.views.shape[2:] == (16, 51)
    said, of_all = study.targets("published", rung), study.targets("published", RUNGS["beyond"])
    assert said.n_mels == 16
    assert torch.equal(said.logits, of_all.logits[[0, 1, 3]])  # the last is of the clips as recorded
    assert said.key != of_all.key
    layer = next(iter(of_all.layers))
    assert torch.equal(said.layers[layer], of_all.layers[layer][[0, 1, 3]])
    # A view is the same take through either front end: loud where it is loud.
    loud = [views[:2].float().exp().mean(2) for views in (own.views, usual.views[..., ::2])]
    both = torch.stack([x.flatten().log() for x in loud])
    assert torch.corrcoef(both)[0, 1] > 0.95
    assert own.key != usual.key


def test_clips_are_heard_through_each_front_end_in_the_same_noise(study):
    names = ["base", "beyond", "balanced", "balanced_int8"]
    found = heard(study.recorded, {name: front_end(name) for name in names}, KINDS, 5.0, "swelling")
    assert found["base"] is found["beyond"]
    assert found["balanced"] is found["balanced_int8"]
    kind = "published"
    own = front_end_of(RUNGS["balanced"].config)
    train = torch.from_numpy(study.splits[kind].train)
    assert torch.equal(found["balanced"][kind].log_mel[train], log_mels(study.clips.waveforms[train], own))
    expected = in_noise(study.clips, study.sets[kind], 5.0, noise="swelling")
    assert torch.equal(found["base"][kind].log_mel, expected.log_mel)


def test_a_study_trains_measures_and_stores_one(study, monkeypatch):
    monkeypatch.setitem(RUNGS, "smallest", replace(RUNGS["smallest"], also=(), epochs=2.0))
    study.fit("base", "smallest")
    study.store_again("smallest_int8")
    (base, row) = study.measure("base", "smallest_int8")
    assert (row.parameters, row.macs) == (461, 3_573)  # batch norm is folded in
    assert row.multiplications < base.multiplications / 8
    assert set(row.quality) == set(study.splits)
    with pytest.raises(ValueError, match="16 bands"):
        study.model("smallest")(torch.zeros(1, 40, 101))


def test_fewer_views_are_another_recipe(study):
    full = Study(replace(study.settings, effort="full"))
    assert full.recipe("balanced") != study.recipe("balanced")
    assert full.recipe("beyond") == study.recipe("beyond")
    assert study.recorded(front_end("best")) is study.recorded(front_end("balanced"))  # made once
