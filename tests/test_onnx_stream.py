"""The ONNX stream says what the TorchScript one says, in any cutting, with NumPy and ONNX Runtime alone."""

import numpy as np
import pytest
import torch
from test_streaming import SHAPES, WEIGHTS, cutting, network, sound

from kws.onnx_stream import OneStep, OnnxStream, save_onnx_stream
from kws.stream_benchmark import CHUNKS, measure, open_stream, table
from kws.stream_report import largest_difference
from kws.streaming import StreamingModel, save_stream, streaming_model


@pytest.mark.parametrize("name", ["base_model", "rnn_fp16", "rnn_int8", "beyond", "peer_gru_3294", *SHAPES])
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


def test_windows_are_not_exported():
    with pytest.raises(ValueError, match="carried"):
        OneStep(network("beyond", carried=False))


def test_the_benchmark_measures_every_stream(tmp_path):
    model = streaming_model(WEIGHTS / "beyond.pt")
    save_onnx_stream(model, tmp_path / "m.onnx")
    save_stream(model, tmp_path / "m.pt")
    costs = measure({path: open_stream(tmp_path / path) for path in ("m.onnx", "m.pt")}, rounds=2, seconds=1)
    assert set(costs) == {(name, chunk) for name in ("m.onnx", "m.pt") for chunk in CHUNKS}
    assert all(value > 0 for value in costs.values())
    assert len(table(costs).splitlines()) == 4
    assert largest_difference(model, sound(30_000), 20) <= 1e-5
