"""Streaming equals offline, however the sound is cut; it forgets on reset, lasts for hours, and refuses what is not sound."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from conftest import SHAPES, WEIGHTS, cutting, network, sound, stream

import kws
from kws.data.storage import CheckpointError
from kws.features import LogMel
from kws.model import CRNN, CRNNConfig
from kws.research.tc_resnet import TCResNet
from kws.streaming.network import (
    ProductConvolution,
    StreamingCRNN,
    StreamingModel,
    load_stream,
    save_stream,
    streaming_model,
)
from kws.streaming.onnx_stream import OnnxStream

STORED = ["base_model", "rnn_fp16", "rnn_int8", "beyond", "peer_gru_3294"]
MODES = pytest.mark.parametrize("carried", [True, False], ids=["carried", "windows"])


@MODES
@pytest.mark.parametrize("name", STORED)
def test_any_cutting_gives_the_same_probabilities(name, carried, tmp_path):
    """Of the TorchScript file: 1,000 random cuttings over all models and modes."""
    save_stream(streaming_model(WEIGHTS / f"{name}.pt", carried), tmp_path / "m.pt")
    model = torch.jit.load(tmp_path / "m.pt")
    generator = torch.Generator().manual_seed(2)
    largest = 0.0
    for i in range(100):
        waveform = sound(24_000, i)
        whole = stream(model, waveform, [])
        cut = stream(model, waveform, cutting(len(waveform), generator))
        assert len(cut) == len(whole) == (len(waveform) - model.first_sample) // model.step_samples + 1
        assert torch.isfinite(cut).all()
        largest = max(largest, float((cut - whole).abs().max()))
    assert largest <= 1e-5


def test_one_sample_at_a_time():
    model = StreamingModel(network("beyond", carried=True))
    waveform = sound(6_000)
    steps = [len(model(sample[None])) for sample in waveform]
    due = range(model.first_sample, 6_001, model.step_samples)
    expected = [int(n in due) for n in range(1, 6_001)]
    assert steps == expected
    torch.testing.assert_close(stream(model, waveform, [1] * 5_999), stream(model, waveform, []), atol=1e-6, rtol=0)


@MODES
@pytest.mark.parametrize("name", [*STORED, *SHAPES])
def test_the_first_second_is_the_offline_model_on_that_clip(name, carried):
    net = network(name, carried)
    model = StreamingModel(net)
    waveform = sound(16_000, 3)
    offline = kws.load_model(WEIGHTS / f"{name}.pt") if name not in SHAPES else _model_of(name)
    streamed = stream(model, waveform, [4_000, 1, 0, 7_000])
    assert len(streamed) == (16_000 - net.first_sample) // net.step_samples + 1
    assert abs(float(streamed[-1] - kws.keyword_probability(offline, waveform[None]))) <= 1e-6


def _model_of(name: str) -> CRNN:
    torch.manual_seed(1)
    return CRNN(SHAPES[name]).eval()


@pytest.mark.parametrize("name", ["base_model", "beyond", "mean", "pooled", "separable"])
def test_windows_are_the_offline_model_on_every_last_second(name):
    """Also where the window reaches back to before the start: there was silence."""
    net = network(name, carried=False)
    waveform = sound(40_000, 4)
    streamed = stream(StreamingModel(net), waveform, [12_345])
    offline = kws.load_model(WEIGHTS / f"{name}.pt") if name not in SHAPES else _model_of(name)
    log_mel = torch.nn.functional.pad(LogMel()(waveform[None]), (200, 0), value=float(torch.tensor(1e-9).log()))
    length = net.kernel_frames + (net.window - 1) * net.step_frames
    for step, p in enumerate(streamed):
        end = 200 + net.kernel_frames + step * net.step_frames
        with torch.no_grad():
            expected = torch.softmax(offline(log_mel[:, :, end - length : end]), 1)[0, 1]
        assert abs(float(p - expected)) <= 1e-6


@pytest.mark.parametrize("name", ["base_model", "rnn_int8", "mean"])
def test_carried_is_the_recurrence_run_on_and_attention_over_its_last_second(name):
    """Against a plain loop, one step at a time, written from the description."""
    net = network(name, carried=True)
    waveform = sound(60_000, 5)
    streamed = stream(StreamingModel(net), waveform, [])
    offline = kws.load_model(WEIGHTS / f"{name}.pt") if name not in SHAPES else _model_of(name)
    with torch.no_grad():
        x = (LogMel()(waveform[None]) - offline.config.mean) / offline.config.std
        x = offline.convolution(offline.pool(x.unsqueeze(1))).flatten(1, 2).transpose(1, 2)
        states: list = [None] * offline.config.layers
        outputs = []
        for step in range(x.shape[1]):
            y = x[:, step : step + 1]
            for i, layer in enumerate(offline.recurrent):
                y, states[i] = layer(y, states[i])
            outputs.append(y)
            context = offline.attention(torch.cat(outputs[-net.window :], 1))
            expected = torch.softmax(offline.classifier(context), 1)[0, 1]
            assert abs(float(streamed[step] - expected)) <= 1e-5


@MODES
def test_whole_log_mels_give_what_the_stream_gives(carried):
    net = network("pooled", carried)
    waveforms = torch.stack([sound(50_000, 6), sound(50_000, 7)])
    logits = net.whole(LogMel()(waveforms))
    for waveform, row in zip(waveforms, torch.softmax(logits, 2)[:, :, 1], strict=True):
        torch.testing.assert_close(stream(StreamingModel(net), waveform, [11_111]), row, atol=1e-6, rtol=0)


@MODES
def test_a_batch_of_streams_is_its_streams(carried):
    net = network("rnn_fp16", carried)
    waveforms = torch.stack([sound(30_000, seed) for seed in range(3)])
    state, parts = net.start(3), []
    for chunk in waveforms.split([100, 9_000, 0, 20_900], 1):
        p, state = net(chunk, state)
        parts.append(p)
    for waveform, p in zip(waveforms, torch.cat(parts, 1), strict=True):
        torch.testing.assert_close(p, stream(StreamingModel(net), waveform, []), atol=1e-6, rtol=0)


@MODES
def test_reset_forgets_the_past(carried):
    model = StreamingModel(network("base_model", carried))
    waveform = sound(30_000, 8)
    expected = stream(model, waveform, [])
    model(torch.full((12_345,), 0.9))
    assert not torch.equal(model(waveform)[: len(expected)], expected)
    model.reset()
    assert torch.equal(model(waveform), expected)


@MODES
@pytest.mark.parametrize("kind", ["silence", "direct current", "clipping", "loud noise", "huge"])
def test_an_hour_leaves_no_nan_and_no_drift(kind, carried):
    """After an hour of it the same probabilities as after a minute."""
    model = StreamingModel(network("beyond", carried))
    minute = {
        "silence": torch.zeros(960_000),
        "direct current": torch.full((960_000,), 0.7),
        "clipping": torch.sign(torch.sin(torch.arange(960_000) * 2 * torch.pi / 80)),  # a period divides the step
        "loud noise": sound(16_000, 9).clamp(-1, 1).repeat(60),
        "huge": torch.full((960_000,), 3e38),
    }[kind]
    first = model(minute)
    for _ in range(58):
        last = model(minute)
        assert torch.isfinite(last).all()
    assert len(last) == 960_000 // model.step_samples
    torch.testing.assert_close(last[-20:], first[-20:], atol=1e-5, rtol=0)


def test_one_huge_sample_is_forgotten():
    model = StreamingModel(network("base_model", carried=True))
    waveform = sound(200_000, 12)
    spoilt = waveform.clone()
    spoilt[5_000] = 1e30
    p, expected = stream(model, spoilt, []), stream(model, waveform, [])
    assert torch.isfinite(p).all()
    torch.testing.assert_close(p[-40:], expected[-40:], atol=0.02, rtol=0)


def test_a_saved_stream_has_heard_nothing_and_is_the_same_bytes(tmp_path):
    model = streaming_model(WEIGHTS / "beyond.pt")
    save_stream(model, tmp_path / "fresh.pt")
    model(sound(30_000))
    save_stream(model, tmp_path / "used.pt")
    assert (tmp_path / "fresh.pt").read_bytes() == (tmp_path / "used.pt").read_bytes()
    assert len(model(torch.zeros(1_600))) == 1  # it goes on as it was


def test_a_streaming_model_leaves_the_model_it_is_made_of_as_it_was():
    model = _model_of("pooled").train()
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
