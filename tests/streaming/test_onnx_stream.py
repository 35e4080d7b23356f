"""The ONNX stream says what the TorchScript one says, in any cutting, with NumPy and ONNX Runtime alone."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from conftest import SHAPES, WEIGHTS, cutting, network, sound

from kws.compress import as_stored
from kws.model import CRNN
from kws.streaming import StreamingCRNN, StreamingModel, onnx_export, streaming_model
from kws.streaming.onnx_export import OneStep, save_onnx_stream
from kws.streaming.onnx_stream import OnnxStream


@pytest.mark.parametrize(
    "name", ["base_model", "rnn_fp16", "rnn_int8", "beyond", "peer_gru_3294", "balanced_int8", "smallest", *SHAPES]
)
def test_equal_to_the_stream_of_torch(name, tmp_path):
    model = StreamingModel(network(name, carried=True), "happy", 0.6, 2)
    save_onnx_stream(model, tmp_path / "m.onnx")
    stream = OnnxStream(tmp_path / "m.onnx")
    assert (stream.keyword, stream.threshold, stream.smoothing) == ("happy", 0.6, 2)
    generator = torch.Generator().manual_seed(0)
    for seed in range(5):
        waveform = sound(40_000, seed)
        model.reset()
        stream.reset()
        expected = model(waveform).numpy()
        sizes = cutting(len(waveform), generator)
        chunks = np.split(waveform.numpy(), np.cumsum(sizes))
        found = np.concatenate([stream(chunk) for chunk in chunks])
        assert len(found) == len(expected)
        assert np.abs(found - expected).max() <= 1e-5


@pytest.mark.parametrize("name", ["base_model", "beyond", "peer_gru_3294"])
def test_matrices_made_by_operators_are_those_that_would_be_stored(name, tmp_path, monkeypatch):
    """To the last bit; 390 kB of a file are saved."""
    model, waveform = StreamingModel(network(name, carried=True), "happy", 0.6, 2), sound(40_000).numpy()
    save_onnx_stream(model, tmp_path / "made.onnx")
    monkeypatch.setattr(onnx_export, "make_matrices", lambda graph, points: None)
    save_onnx_stream(model, tmp_path / "stored.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "made.onnx"))
    said = [OnnxStream(tmp_path / f"{how}.onnx")(waveform) for how in ("made", "stored")]
    np.testing.assert_array_equal(*said)
    sizes = [(tmp_path / f"{how}.onnx").stat().st_size for how in ("made", "stored")]
    # 200 x 202 and 200 x 200 waves, 402 x 40 bands, of four bytes each; what makes them is small.
    assert 0 < 4 * (200 * 402 + 402 * 40) - (sizes[1] - sizes[0]) < 10_000


def test_int8_stays_int8_and_says_the_same(tmp_path):
    """A byte for each value of the large matrices; the float32 network of the same values says what the file says."""
    torch.manual_seed(0)
    trained = CRNN(replace(SHAPES["deep"], norm=False, hidden=64))
    model = as_stored(trained, "int8", packed=True)
    stream = StreamingModel(StreamingCRNN(model))
    save_onnx_stream(stream, tmp_path / "int8.onnx")
    stored = onnx.load(tmp_path / "int8.onnx").graph.initializer
    int8 = sum(np.prod(tensor.dims) for tensor in stored if tensor.data_type == onnx.TensorProto.INT8)
    large = sum(p.numel() for p in model.parameters() if p.dim() > 1 and p.numel() >= onnx_export.LEAST_INT8)
    assert int8 == large > 0.9 * sum(p.numel() for p in model.parameters() if p.dim() > 1)
    waveform = sound(40_000)
    found = OnnxStream(tmp_path / "int8.onnx")(waveform.numpy())
    assert np.abs(found - stream(waveform).numpy()).max() <= 1e-6
    # Other values are no int8.
    save_onnx_stream(StreamingModel(StreamingCRNN(trained)), tmp_path / "float.onnx")
    sizes = [(tmp_path / f"{how}.onnx").stat().st_size for how in ("float", "int8")]
    assert sizes[0] - sizes[1] > 2.8 * large
    kinds = {tensor.data_type for tensor in onnx.load(tmp_path / "float.onnx").graph.initializer}
    assert onnx.TensorProto.INT8 not in kinds


def test_files_that_list_a_whole_state_are_read(tmp_path):
    """As they were written before: each number of the state that a stream begins with."""
    model, waveform = StreamingModel(network("beyond", carried=True)), sound(30_000).numpy()
    save_onnx_stream(model, tmp_path / "m.onnx")
    expected = OnnxStream(tmp_path / "m.onnx")(waveform)
    graph = onnx.load(tmp_path / "m.onnx")
    about = json.loads(graph.metadata_props[0].value)
    whole = OneStep(model.network).start()
    about["start"] = {name: tensor.flatten().tolist() for name, tensor in whole.items() if name != "frames"}
    onnx.helper.set_model_props(graph, {"kws": json.dumps(about)})
    onnx.save(graph, tmp_path / "m.onnx")
    np.testing.assert_array_equal(OnnxStream(tmp_path / "m.onnx")(waveform), expected)


def test_a_chunk_that_is_no_sound_leaves_the_stream_as_it_was(tmp_path):
    save_onnx_stream(streaming_model(WEIGHTS / "beyond.pt"), tmp_path / "m.onnx")
    stream = OnnxStream(tmp_path / "m.onnx")
    waveform = sound(20_000).numpy()
    expected = stream(waveform)
    stream.reset()
    first = stream(waveform[:5_000])
    for chunk, message in ((np.zeros((1, 5)), "shape"), (np.full(3, np.nan), "NaN"), (np.zeros(3, np.int64), "int64")):
        with pytest.raises(ValueError, match=message):
            stream(chunk)
    np.testing.assert_array_equal(np.concatenate([first, stream(waveform[5_000:])]), expected)
    stream.reset()
    integers = (np.clip(waveform, -1, 1) * 32767).astype(np.int16)
    np.testing.assert_allclose(stream(integers), expected, atol=0.05)


def test_streams_of_one_file_do_not_hear_each_other(tmp_path):
    save_onnx_stream(streaming_model(WEIGHTS / "rnn.pt"), tmp_path / "m.onnx")
    streams = [OnnxStream(tmp_path / "m.onnx") for _ in range(2)]
    waveforms = [sound(30_000, seed).numpy() for seed in (1, 2)]
    alone = [OnnxStream(tmp_path / "m.onnx")(waveform) for waveform in waveforms]
    found = [[stream(chunk) for chunk in np.split(w, 15)] for stream, w in zip(streams, waveforms, strict=True)]
    in_turns = [[], []]
    for stream in streams:
        stream.reset()
    for pair in zip(*(np.split(waveform, 15) for waveform in waveforms), strict=True):
        for stream, chunk, heard in zip(streams, pair, in_turns, strict=True):
            heard.append(stream(chunk))
    for expected, first, second in zip(alone, found, in_turns, strict=True):
        np.testing.assert_array_equal(np.concatenate(first), expected)
        np.testing.assert_array_equal(np.concatenate(second), expected)


def test_a_huge_sample_is_bounded_as_in_torch(tmp_path):
    model = streaming_model(WEIGHTS / "rnn.pt")
    save_onnx_stream(model, tmp_path / "m.onnx")
    waveform = sound(30_000)
    waveform[9_000] = 3e38
    found = OnnxStream(tmp_path / "m.onnx")(waveform.numpy())
    assert np.abs(found - model(waveform).numpy()).max() <= 1e-5


def test_windows_are_not_exported():
    with pytest.raises(ValueError, match="carried"):
        OneStep(network("beyond", carried=False))
