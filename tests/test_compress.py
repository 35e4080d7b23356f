import io

import pytest
import torch

from kws.checkpoint import Provenance, load_model, read_checkpoint, save_model
from kws.compress import fold_batch_norm
from kws.cost import size_in_bytes
from kws.data.tensors import StorageError, restore, store
from kws.data.torch_files import CheckpointError
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
    assert {name: tensor.dtype for name, tensor in stored.items()} == {"values": torch.int8}
    parameters = sum(p.numel() for p in model.parameters())
    scales = sum(tensor.shape[0] if tensor.dim() > 1 else 1 for tensor in model.state_dict().values())
    assert stored["values"].numel() == parameters + 2 * scales
    buffer = io.BytesIO()
    torch.save(stored, buffer, _use_new_zipfile_serialization=False)
    size = size_in_bytes(tmp_path / "m.pt")
    # A checksum is put behind; the storage's name, its address in memory, is 0 instead of at most 20 digits, twice.
    assert len(buffer.getvalue()) - 38 <= size - 4 <= len(buffer.getvalue())
    assert size < parameters + 2 * scales + 400


def test_the_same_packed_network_is_the_same_bytes(model, tmp_path):
    names, kept = ["one.pt", "other.pt"], []
    for name in names:
        save_model(tmp_path / name, model, PROVENANCE, "int8", packed=True)
        kept.append(torch.zeros(10_000))  # other addresses in memory
    assert (tmp_path / names[0]).read_bytes() == (tmp_path / names[1]).read_bytes()


def test_packed_files_as_they_were_written_once_are_read(model, tmp_path):
    save_model(tmp_path / "m.pt", model, PROVENANCE, "int8", packed=True)
    expected, content = load_model(tmp_path / "m.pt"), read_checkpoint(tmp_path / "m.pt")
    count = sum(p.numel() for p in model.parameters())
    values = content["state_dict"]["values"]
    once = {"values": values[:count].clone(), "scales": values[count:].clone().view(torch.float16)}
    torch.save(content | {"state_dict": once}, tmp_path / "once.pt")
    found = load_model(tmp_path / "once.pt")
    assert all(torch.equal(a, b) for a, b in zip(found.parameters(), expected.parameters(), strict=True))
    assert size_in_bytes(tmp_path / "once.pt") > size_in_bytes(tmp_path / "m.pt") + 1000


def test_any_flipped_bit_or_cut_of_a_packed_file_is_found(model, tmp_path):
    path = tmp_path / "m.pt"
    save_model(path, model, PROVENANCE, "int8", packed=True)
    whole = path.read_bytes()
    for i in range(0, 8 * len(whole), 997):
        changed = bytearray(whole)
        changed[i // 8] ^= 1 << i % 8
        for damaged in (changed, whole[: i // 8]):
            path.write_bytes(damaged)
            with pytest.raises(CheckpointError, match="damaged|truncated"):
                load_model(path)


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
        lambda values: values[:-1],
        lambda values: values[:-2],
        lambda values: torch.cat([values, values[:2]]),
        lambda values: values.int(),
        lambda values: torch.cat([values[:-2], torch.tensor([torch.nan], dtype=torch.float16).view(torch.int8)]),
    ):
        save_model(path, model, PROVENANCE, "int8", packed=True)
        content = read_checkpoint(path)
        torch.save(content | {"state_dict": {"values": damage(content["state_dict"]["values"])}}, path)
        with pytest.raises(CheckpointError, match="do not make a model"):
            load_model(path)
