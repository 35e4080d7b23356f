"""Networks with front ends of their own: views of the same takes, teachers' targets of those views, clips to be judged on."""

from dataclasses import replace

import pytest
import torch
from conftest import write_networks

from kws.features import front_end_of, log_mels
from kws.research import heard as module
from kws.research.conditions import in_noise
from kws.research.heard import front_end, heard, views_of
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
        found = Study(Settings(str(tone_folder), "low", seeds=1, epochs=1, cache="cache"))
        write_networks(found, {"teacher": tuple(found.splits)}, seeds=4)
        yield found


def test_it_takes_the_targets_of_the_same_takes(study):
    rung = replace(RUNGS["balanced"], also=())
    own, usual = study.training("published", "balanced"), study.training("published")
    assert len(own.views) == len(usual.views) == 2  # with small effort they are few
    assert own.views.shape[2:] == (16, 51)
    said, of_usual = study.targets("published", rung), study.targets("published", RUNGS["beyond"])
    assert (said.n_mels, of_usual.n_mels) == (16, 40)
    assert torch.equal(said.logits, of_usual.logits)
    # A view is the same take through either front end: loud where it is loud.
    loud = [views.float().exp().mean(2) for views in (own.views, usual.views[..., ::2])]
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
    assert full.recipe("beyond") != study.recipe("beyond")
    assert study.recorded(front_end("best")) is study.recorded(front_end("balanced"))  # made once


def test_full_effort_has_all_views_and_a_wish_is_followed(monkeypatch):
    monkeypatch.setattr(module, "FEW_VIEWS", 2)
    settings = Settings(effort="full")
    assert views_of(settings, 2_880) == 24
    assert views_of(replace(settings, effort="small"), 2_880) == 2
    assert views_of(replace(settings, effort="small", views=5), 2_880) == 5
