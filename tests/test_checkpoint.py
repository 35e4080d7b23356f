import io
import os
import pickle
import resource
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import kws
from kws import CRNN, CRNNConfig, load_model, save_model, size_in_bytes
from kws.checkpoint import Provenance, load_provenance, read_checkpoint
from kws.data.storage import replacing, save_whole
from kws.data.torch_files import CheckpointError, cached

PROVENANCE = Provenance("happy", "tones", "abc", "published", 0, 1, {"test 1-AUC": np.float64(0.001)})


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    config = CRNNConfig(channels=4, norm=True, relu=True, pool=(2, 5), kernel=(6, 4), hidden=12)
    model = CRNN(config)
    model(torch.randn(8, 40, 101))  # batch norm has statistics
    save_model(tmp_path / "model.pt", model, PROVENANCE)
    return tmp_path / "model.pt", model.eval()


def test_round_trip(saved):
    path, model = saved
    loaded = load_model(path)
    assert not loaded.training
    assert loaded.config == model.config
    log_mel = torch.randn(3, 40, 101)
    assert torch.equal(loaded(log_mel), model(log_mel))
    assert load_provenance(path) == PROVENANCE
    assert load_provenance(path).kws_version == kws.__version__


def test_size_is_that_of_the_state_dict(saved):
    path, model = saved
    buffer = io.BytesIO()
    torch.save(read_checkpoint(path)["state_dict"], buffer)
    assert size_in_bytes(path) == len(buffer.getvalue())
    save_model(path, model, replace(PROVENANCE, metrics={f"m{i}": 0.0 for i in range(1000)}))
    assert size_in_bytes(path) == len(buffer.getvalue())  # metadata does not count


def test_float16_loads_as_float32(saved):
    path, model = saved
    content = read_checkpoint(path)
    content["state_dict"] = {k: v.half() if v.is_floating_point() else v for k, v in content["state_dict"].items()}
    full = size_in_bytes(path)
    torch.save(content, path)
    assert size_in_bytes(path) < full
    log_mel = torch.randn(3, 40, 101)
    logits = load_model(path)(log_mel)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, model(log_mel), atol=0.02, rtol=0.02)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.pt"):
        load_model(tmp_path / "none.pt")


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_truncated(saved, keep):
    path, _ = saved
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    with pytest.raises(CheckpointError, match=r"model.pt: .*again"):
        load_model(path)


@pytest.mark.parametrize("foreign", [{"state_dict": {}}, [1, 2], torch.zeros(3), {"format": "other"}])
def test_foreign(tmp_path, foreign):
    torch.save(foreign, tmp_path / "foreign.pt")
    with pytest.raises(CheckpointError, match="not a checkpoint of this package"):
        load_model(tmp_path / "foreign.pt")


def test_newer_version(saved):
    path, _ = saved
    torch.save(read_checkpoint(path) | {"format_version": 99}, path)
    with pytest.raises(CheckpointError, match="newer version of kws"):
        load_model(path)


@pytest.mark.parametrize(
    "change",
    [
        {"config": {"pool": []}},
        {"config": {"hidden": 12, "colour": "red"}},
        {"config": {"hidden": 32}},
        {"config": {"rnn": "lstm"}},
        {"state_dict": {}},
    ],
)
def test_config_and_tensors_must_fit(saved, change):
    path, _ = saved
    torch.save(read_checkpoint(path) | change, path)
    with pytest.raises(CheckpointError, match="do not make a model"):
        load_model(path)


@pytest.mark.parametrize(
    ("spoil", "message"), [(lambda t: t.to(torch.int8), "int8 and has no scale"), (lambda t: t * torch.nan, "NaN")]
)
def test_tensors_that_would_give_nonsense(saved, spoil, message):
    path, _ = saved
    content = read_checkpoint(path)
    content["state_dict"]["classifier.weight"] = spoil(content["state_dict"]["classifier.weight"])
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=message):
        load_model(path)


def test_a_torchscript_file_is_told_apart(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "script.pt")
    with pytest.raises(CheckpointError, match=r"torch\.jit\.load"):
        load_model(tmp_path / "script.pt")


def test_incomplete(saved):
    path, _ = saved
    content = read_checkpoint(path)
    del content["provenance"]
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="lacks provenance"):
        load_model(path)
    torch.save({"format": "kws.crnn"}, path)
    with pytest.raises(CheckpointError, match="lacks architecture, config, format_version"):
        load_model(path)


class Bomb:
    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return os.mkdir, (str(self.flag),)


def test_code_in_a_checkpoint_never_runs(tmp_path):
    flag = tmp_path / "the code ran"
    torch.save({"format": "kws.crnn", "bomb": Bomb(flag)}, tmp_path / "bomb.pt")
    with pytest.raises(CheckpointError, match="never loaded"):
        load_model(tmp_path / "bomb.pt")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Bomb(flag)))
    with pytest.raises(CheckpointError, match="not a PyTorch file"):
        load_model(tmp_path / "bare.pt")
    assert not flag.exists()
    torch.load(tmp_path / "bomb.pt", weights_only=False)  # the bomb is real: this is what loading must not do
    assert flag.exists()


def full_disk(*_, **__):
    raise OSError(28, "No space left on device")


def test_a_full_disk_keeps_the_old_checkpoint(saved, monkeypatch):
    path, model = saved
    before = path.read_bytes()

    def half_written(file, content):
        file.write_text("half")
        full_disk()

    monkeypatch.setattr(Path, "write_bytes", half_written)
    with pytest.raises(OSError, match=r"model\.pt: could not be written.*No space left"):
        save_model(path, model, PROVENANCE)
    monkeypatch.undo()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limit[1]))  # as a full disk
    try:
        with pytest.raises(OSError, match="is the disk full"):
            save_model(path, model, PROVENANCE)
        with pytest.raises(OSError, match="is the disk full"):  # torch itself raises a RuntimeError of its own then
            save_whole(torch.zeros(5_000), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["model.pt"]


def test_a_kill_while_writing_keeps_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    child = os.fork()
    if child == 0:
        with replacing(path) as temporary:
            temporary.write_text("half of the new")
            os._exit(1)  # as a kill does: nothing is cleaned up
    os.waitpid(child, 0)
    assert path.read_text() == "old"
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(f".file.{child}.")] == ["file"]


def test_cache_makes_once_and_recognises_what_is_stale(tmp_path, capsys):
    made = []

    def make():
        made.append(1)
        return {"tensor": torch.full((3,), float(len(made)))}

    path = tmp_path / "folder" / "cache.pt"
    assert cached(path, "a", make)["tensor"][0] == 1
    assert cached(path, "a", make)["tensor"][0] == 1
    assert capsys.readouterr().out == ""
    assert cached(path, "b", make)["tensor"][0] == 2
    assert "other clips or settings" in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:100])
    assert cached(path, "b", make)["tensor"][0] == 3
    assert "damaged" in capsys.readouterr().out
    assert cached(None, "b", make)["tensor"][0] == 4


def test_cache_on_a_full_disk_goes_on_without(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch, "save", full_disk)
    assert cached(tmp_path / "cache.pt", "a", lambda: {"x": 1}) == {"x": 1}
    assert "No space left" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
