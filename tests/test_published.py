"""The committed weights: they load, cost what they should, and score on the real recordings what their checkpoints say."""

from pathlib import Path

import pytest
import torch

import kws
from kws.checkpoint import load_provenance
from kws.corpora import folder_corpus
from kws.data import decode, training_data
from kws.evaluate import judge_checkpoint
from kws.manifest import is_corpus_of
from kws.metrics import at_prevalence, one_minus_auc
from kws.split import SPLITS

WEIGHTS = Path(__file__).parents[1] / "weights" / "happy"
BASE = ["base_model.pt", "base_model_speaker_disjoint.pt"]


@pytest.mark.parametrize("name", BASE)
def test_base_model(name):
    model = kws.load_model(WEIGHTS / name)
    assert not model.training
    assert model.config == kws.CRNNConfig()
    assert kws.count_macs(model) == 432_672
    assert 25_387 * 4 < kws.size_in_bytes(WEIGHTS / name) < 25_387 * 4 + 8_000
    p = kws.keyword_probability(model, torch.zeros(2, 16_000))
    assert p.shape == (2,)
    assert (p < 0.5).all()
    assert load_provenance(WEIGHTS / name).keyword == "happy"


@pytest.fixture(scope="module")
def clips(real_folder):
    return decode(folder_corpus(real_folder))


def test_manifest_lists_the_real_corpus(clips):
    assert is_corpus_of(clips.corpus, WEIGHTS / "manifest.csv")


@pytest.mark.parametrize("name", BASE)
def test_scores_are_those_recorded(name, clips):
    provenance = load_provenance(WEIGHTS / name)
    split = SPLITS[provenance.split_kind](clips.corpus, "happy", provenance.split_seed)
    p, y = judge_checkpoint(WEIGHTS / name, training_data(clips, "happy", split, views=0))
    assert one_minus_auc(p, y) == pytest.approx(provenance.metrics["test 1-AUC"], rel=0.02)
    if provenance.split_kind == "published":
        assert at_prevalence(one_minus_auc(p, y)) <= 3.0e-5
