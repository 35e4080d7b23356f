"""A streaming model refuses what is not sound, and its file runs with torch alone and tells nothing of its writer."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from conftest import WEIGHTS, network, offline, sound, stream

import kws
from kws.data.torch_files import CheckpointError
from kws.model import CRNN, CRNNConfig
from kws.research.tc_resnet import TCResNet
from kws.streaming.model import ProductConvolution, StreamingModel, load_stream, save_stream, streaming_model
from kws.streaming.network import StreamingCRNN
from kws.streaming.onnx_stream import OnnxStream


def test_a_saved_stream_has_heard_nothing_and_is_the_same_bytes(tmp_path):
    model = streaming_model(WEIGHTS / "beyond.pt")
    save_stream(model, tmp_path / "fresh.pt")
    model(sound(30_000))
    save_stream(model, tmp_path / "used.pt")
    assert (tmp_path / "fresh.pt").read_bytes() == (tmp_path / "used.pt").read_bytes()
    assert len(model(torch.zeros(1_600))) == 1  # it goes on as it was


def test_a_streaming_model_leaves_the_model_it_is_made_of_as_it_was():
    model = offline("pooled").train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for carried in (True, False):
        StreamingModel(StreamingCRNN(model, carried))(sound(30_000))
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_int16_is_scaled():
    model = StreamingModel(network("base_model", carried=True))
    waveform = (sound(20_000, 10).clamp(-1, 1) * 32767).to(torch.int16)
    assert torch.equal(stream(model, waveform, [77]), stream(model, waveform.float() / 32768, [77]))


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (torch.zeros(1, 160), "shape"),
        (torch.zeros(()), "shape"),
        (torch.zeros(160, dtype=torch.int32), "int16 or floating"),
        (torch.tensor([0.0, float("nan")]), "NaN"),
        (torch.tensor([float("inf")]), "NaN or infinite"),
    ],
)
def test_what_is_not_sound_is_refused_and_the_stream_goes_on(chunk, message, tmp_path):
    save_stream(streaming_model(WEIGHTS / "base_model.pt"), tmp_path / "m.pt")
    model = torch.jit.load(tmp_path / "m.pt")
    waveform = sound(20_000, 11)
    expected = stream(model, waveform, [9_000])
    model.reset()
    first = model(waveform[:9_000])
    with pytest.raises(Exception, match=message):
        model(chunk)
    assert torch.equal(torch.cat([first, model(waveform[9_000:])]), expected)


def test_the_file_runs_with_torch_alone(tmp_path):
    save_stream(streaming_model(WEIGHTS / "rnn_int8.pt", threshold=0.7, smoothing=2), tmp_path / "m.pt")
    torch.save(sound(20_000), tmp_path / "sound.pt")
    program = (
        "import sys, torch; m = torch.jit.load('m.pt'); w = torch.load('sound.pt'); p = torch.cat([m(w[:7000]), m(w[7000:])])"
        "; assert not any(name.split('.')[0] in ('kws', 'torchaudio') for name in sys.modules)"
        "; torch.save([p, m.keyword, m.threshold, m.smoothing, m.sample_rate], 'p.pt'); m.reset()"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], cwd=tmp_path, check=True)
    p, *attributes = torch.load(tmp_path / "p.pt")
    assert attributes == ["happy", 0.7, 2, 16_000]
    assert torch.allclose(p, stream(StreamingModel(network("rnn_int8", carried=True)), sound(20_000), []), atol=1e-6)


def test_the_file_does_not_tell_where_it_was_written(tmp_path):
    save_stream(streaming_model(WEIGHTS / "beyond.pt"), tmp_path / "m.pt")
    folder = str(Path(kws.__file__).parents[1]).encode()
    for path in (tmp_path / "m.pt", *WEIGHTS.glob("streaming_*")):
        content = path.read_bytes()
        assert folder not in content, path
        if path.suffix == ".pt":
            with zipfile.ZipFile(path) as archive:
                assert not any(folder in archive.read(name) for name in archive.namelist()), path
                assert not any(name.endswith("debug_pkl") for name in archive.namelist()), path


@pytest.mark.parametrize("name", ["streaming_base", "streaming_small"])
def test_the_committed_streams(name):
    """TorchScript and ONNX say the same, and what the checkpoint of one seed says, of that which validation chose."""
    script, onnx = load_stream(WEIGHTS / f"{name}.pt"), OnnxStream(WEIGHTS / f"{name}.onnx")
    seeds = [streaming_model(path) for path in (WEIGHTS / "seeds").glob(f"{name}-*.pt")]
    waveform = sound(50_000, 13)
    p = stream(script, waveform, [12_345])
    assert sum(torch.allclose(p, stream(seed, waveform, []), atol=1e-5, rtol=0) for seed in seeds) == 1
    torch.testing.assert_close(p, torch.from_numpy(onnx(waveform.numpy())), atol=1e-5, rtol=0)
    assert (script.keyword, onnx.keyword) == ("happy", "happy")
    assert script.threshold == onnx.threshold
    assert 0.5 < script.threshold < 1


@pytest.mark.parametrize("stride", [1, (2, 3)])
def test_a_convolution_as_a_product(stride):
    convolution = torch.nn.Conv2d(3, 5, (4, 2), stride)
    x = torch.randn(2, 3, 9, 12)
    for product in (ProductConvolution(convolution), torch.jit.script(ProductConvolution(convolution))):
        torch.testing.assert_close(product(x), convolution(x))


def test_what_cannot_stream_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"tc_resnet8\.pt.*only a CRNN"):
        streaming_model(WEIGHTS / "tc_resnet8.pt")
    with pytest.raises(ValueError, match="skips"):
        StreamingCRNN(CRNN(CRNNConfig(kernel=(5, 4), stride=(2, 8))))
    assert isinstance(load_stream(WEIGHTS / "base_model.pt"), StreamingModel)
    with pytest.raises(FileNotFoundError, match=r"none\.pt"):
        load_stream(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("no model")
    with pytest.raises(CheckpointError, match="truncated"):
        load_stream(tmp_path / "text.pt")
    with pytest.raises(ValueError, match="longer than a second"):
        StreamingCRNN(CRNN(CRNNConfig(kernel=(5, 30), pool=(1, 4))))
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(tmp_path / "linear.pt"))
    with pytest.raises(CheckpointError, match="not a streaming"):
        load_stream(tmp_path / "linear.pt")
    with pytest.raises(ValueError, match="TCResNet"):
        StreamingCRNN(TCResNet())
