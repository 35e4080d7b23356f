import io

import pytest
import torch

from kws.checkpoint import Provenance, load_model, read_checkpoint, save_model
from kws.compress import fold_batch_norm
from kws.cost import size_in_bytes
from kws.data.storage import CheckpointError
from kws.data.tensors import StorageError, restore, store
from kws.model import CRNN, CRNNConfig
from kws.research.tc_resnet import TCResNet

TINY = CRNNConfig(pool=(2, 5), channels=4, kernel=(6, 4), stride=(3, 2), relu=True, hidden=12, layers=1)
PROVENANCE = Provenance("happy", "tones", "f" * 64, "published", 0, 1, {"test 1-AUC": 0.01})


@pytest.fixture
def model() -> CRNN:
    torch.manual_seed(0)
    return CRNN(TINY).eval()


DEEPER = ((6, (3, 3), (2, 1)), (5, (1, 2), (1, 1)))


@pytest.mark.parametrize(("separable", "deeper"), [(False, ()), (True, ()), (False, DEEPER), (True, DEEPER)])
def test_folding_batch_norm_changes_nothing_but_the_cost(separable, deeper):
    torch.manual_seed(0)
    whole = CRNN(CRNNConfig(norm=True, relu=True, separable=separable, deeper=deeper))
    for _ in range(5):  # running statistics away from 0 and 1
        whole(torch.randn(8, 40, 101) * 4 - 7)
    norms = [layer for layer in whole.convolution if isinstance(layer, torch.nn.BatchNorm2d)]
    for norm in norms:
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    folded = fold_batch_norm(whole.eval())
    sound = torch.randn(4, 40, 101) * 4 - 7
    torch.testing.assert_close(folded(sound), whole(sound))
    assert not folded.config.norm
    assert len(folded.state_dict()) == len(whole.state_dict()) - 5 * len(norms)
    assert fold_batch_norm(folded) is folded


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("storage", "error"), [("float32", 0.0), ("float16", 2**-11), ("int8", 0.51 / 127)])
def test_stored_values_come_back(model, storage, error, packed):
    state = model.state_dict()
    back = restore(store(state, storage, packed), state)
    for name, tensor in state.items():
        rows = tensor.abs().flatten(1).amax(1) if tensor.dim() > 1 else tensor.abs().amax()
        allowed = error * rows.reshape([-1] + [1] * (tensor.dim() - 1))
        assert ((back[name] - tensor).abs() <= allowed + 1e-7).all(), name


def test_int8_by_hand():
    state = {"weight": torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0]]), "bias": torch.tensor([127.0, -1.0])}
    stored = store(state, "int8")
    assert stored["bias"].tolist() == [127, -1]
    assert stored["bias.scale"].tolist() == [1.0]
    assert stored["weight"][0, 1] == -127
    assert stored["weight"][1].tolist() == [0, 0, 0]
    assert stored["weight.scale"].shape == (2, 1)


def test_every_storage_loads_to_the_same_model_packed_or_not(model, tmp_path):
    sound = torch.randn(4, 40, 101) * 4 - 7
    for storage in ("float32", "float16", "int8"):
        for packed in (False, True):
            save_model(tmp_path / f"{packed}.pt", model, PROVENANCE, storage, packed)
        one, other = (load_model(tmp_path / f"{packed}.pt") for packed in (False, True))
        assert torch.equal(one(sound), other(sound))
        assert one.config == TINY
        assert all(tensor.dtype == torch.float32 for tensor in one.state_dict().values())


def test_packed_int8_is_mostly_values(model, tmp_path):
    save_model(tmp_path / "m.pt", model, PROVENANCE, "int8", packed=True)
    stored = read_checkpoint(tmp_path / "m.pt")["state_dict"]
    assert {name: tensor.dtype for name, tensor in stored.items()} == {"values": torch.int8, "scales": torch.float16}
    parameters = sum(p.numel() for p in model.parameters())
    assert stored["values"].numel() == parameters
    buffer = io.BytesIO()
    torch.save(stored, buffer)
    assert size_in_bytes(tmp_path / "m.pt") == len(buffer.getvalue()) < parameters + 2 * stored["scales"].numel() + 2000


def test_a_tc_resnet_is_saved_and_loaded(tmp_path):
    torch.manual_seed(0)
    model = TCResNet().eval()
    save_model(tmp_path / "tc.pt", model, PROVENANCE)
    sound = torch.randn(3, 40, 101)
    assert torch.equal(load_model(tmp_path / "tc.pt")(sound), model(sound))


def test_what_cannot_be_stored_is_refused(model):
    state = model.state_dict()
    with pytest.raises(StorageError, match="int4.*float32, float16, int8"):
        store(state, "int4")
    with pytest.raises(StorageError, match=r"classifier\.bias.*range of float16"):
        store(state | {"classifier.bias": torch.tensor([1e6, 0.0])}, "float16")
    with pytest.raises(StorageError, match=r"classifier\.bias.*NaN"):
        store(state | {"classifier.bias": torch.tensor([torch.nan, 0.0])})
    with pytest.raises(StorageError, match="too large for int8"):
        store(state | {"classifier.bias": torch.tensor([1e9, 0.0])}, "int8")
    with pytest.raises(StorageError, match="fold the batch norm"):
        store(CRNN(CRNNConfig(norm=True)).state_dict(), "int8", packed=True)


def test_damaged_packed_files_are_refused(model, tmp_path):
    path = tmp_path / "m.pt"
    for damage in (
        lambda stored: {"values": stored["values"]},
        lambda stored: stored | {"values": stored["values"][:-1]},
        lambda stored: stored | {"scales": stored["scales"][:-1]},
        lambda stored: stored | {"values": stored["values"].int()},
        lambda stored: stored | {"scales": stored["scales"] * torch.nan},
    ):
        save_model(path, model, PROVENANCE, "int8", packed=True)
        content = read_checkpoint(path)
        torch.save(content | {"state_dict": damage(content["state_dict"])}, path)
        with pytest.raises(CheckpointError, match="do not make a model"):
            load_model(path)
