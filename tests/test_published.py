"""The committed weights: they load, cost what they should, and score on the real recordings what their checkpoints say."""

import pytest
import torch
from conftest import WEIGHTS

import kws
from kws.checkpoint import load_provenance, stored_tensors
from kws.data.corpus import folder_corpus
from kws.data.manifest import is_corpus_of
from kws.evaluate import judge_checkpoint
from kws.features import front_end_of
from kws.metrics import at_prevalence, one_minus_auc
from kws.report.tables import BARS
from kws.research.heard import Recorded
from kws.research.own_front import own_front_end
from kws.research.stream_teacher import StreamTeacher
from kws.split import SPLITS
from kws.views import decode, training_data

BASE = ["base_model.pt", "base_model_speaker_disjoint.pt"]
STUDENTS = {
    "gru_small": torch.float32,
    "rnn": torch.float32,
    "rnn_fp16": torch.float16,
    "rnn_int8": torch.int8,
    "beyond": torch.int8,
    "best_int8": torch.int8,
    "balanced_int8": torch.int8,
    "smallest_int8": torch.int8,
}


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


@pytest.mark.parametrize("name", STUDENTS)
def test_students(name):
    """Stored as said, and small and fast as the ladder promises."""
    path = WEIGHTS / f"{name}.pt"
    assert STUDENTS[name] in {tensor.dtype for tensor in stored_tensors(path).values()}
    model = kws.load_model(path)
    assert kws.keyword_probability(model, torch.zeros(2, 16_000)).shape == (2,)
    if name in BARS:
        compression = kws.size_in_bytes(WEIGHTS / "base_model.pt") / kws.size_in_bytes(path)
        speedup = 432_672 / kws.count_macs(model)
        assert compression >= BARS[name].compression
        assert speedup >= BARS[name].speedup
        if name in ("rnn_fp16", "beyond"):
            assert compression >= 10
    if name == "beyond":
        assert kws.score(compression, speedup) == pytest.approx(7.0)


def test_every_committed_checkpoint_loads():
    paths = [path for path in WEIGHTS.rglob("*.pt") if path.parent != WEIGHTS or not path.name.startswith("streaming")]
    assert len(paths) > 60
    for path in paths:
        model = kws.load_model(path)
        clip = torch.zeros(1, 16_000)
        heard = torch.zeros(1, 96, 12) if isinstance(model, StreamTeacher) else front_end_of(model.config)(clip)
        assert torch.isfinite(model(heard)).all()


@pytest.fixture(scope="module")
def clips(real_folder):
    return decode(folder_corpus(real_folder))


@pytest.fixture(scope="module")
def recorded(clips):
    """The clips by front end and kind of split."""
    sets = {
        kind: training_data(clips, "happy", make(clips.corpus, "happy", 0), views=0) for kind, make in SPLITS.items()
    }
    return Recorded(clips, sets)


def test_manifest_lists_the_real_corpus(clips):
    assert is_corpus_of(clips.corpus, WEIGHTS / "manifest.csv")


@pytest.mark.parametrize("name", BASE + [f"{name}.pt" for name in STUDENTS])
def test_scores_are_those_recorded(name, recorded):
    provenance = load_provenance(WEIGHTS / name)
    own = own_front_end(kws.load_model(WEIGHTS / name).config)
    p, y = judge_checkpoint(WEIGHTS / name, recorded(own)[provenance.split_kind])
    assert one_minus_auc(p, y) == pytest.approx(provenance.metrics["test 1-AUC"], rel=0.02)
    if provenance.split_kind == "published" and name in BASE:
        assert at_prevalence(one_minus_auc(p, y)) <= 3.0e-5
