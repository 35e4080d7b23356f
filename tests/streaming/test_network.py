"""Streaming equals offline, however the sound is cut; it forgets on reset, and lasts for hours."""

import pytest
import torch
from conftest import SHAPES, WEIGHTS, cutting, network, offline, sound, stream

import kws
from kws.features import LogMel, front_end_of
from kws.streaming import StreamingModel, save_stream, streaming_model

STORED = ["base_model", "rnn_fp16", "rnn_int8", "beyond", "peer_gru_3294", "best_int8", "balanced", "smallest_int8"]
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
    streamed = stream(model, waveform, [4_000, 1, 0, 7_000])
    assert len(streamed) == (16_000 - net.first_sample) // net.step_samples + 1
    assert abs(float(streamed[-1] - kws.keyword_probability(offline(name), waveform[None]))) <= 1e-6


@pytest.mark.parametrize(
    "name", ["base_model", "beyond", "balanced_int8", "smallest", "one layer", "pooled", "separable"]
)
def test_windows_are_the_offline_model_on_every_last_second(name):
    """Also where the window reaches back to before the start: there was silence."""
    net = network(name, carried=False)
    waveform = sound(40_000, 4)
    streamed = stream(StreamingModel(net), waveform, [12_345])
    model = offline(name)
    heard = front_end_of(model.config)(waveform[None])
    log_mel = torch.nn.functional.pad(heard, (200, 0), value=float(torch.tensor(1e-9).log()))
    length = net.kernel_frames + (net.window - 1) * net.step_frames
    for step, p in enumerate(streamed):
        end = 200 + net.kernel_frames + step * net.step_frames
        with torch.no_grad():
            expected = torch.softmax(model(log_mel[:, :, end - length : end]), 1)[0, 1]
        assert abs(float(p - expected)) <= 1e-6


@pytest.mark.parametrize("name", ["base_model", "rnn_int8", "one layer"])
def test_carried_is_the_recurrence_run_on_and_attention_over_its_last_second(name):
    """Against a plain loop, one step at a time, written from the description."""
    net = network(name, carried=True)
    waveform = sound(60_000, 5)
    streamed = stream(StreamingModel(net), waveform, [])
    model = offline(name)
    with torch.no_grad():
        x = (LogMel()(waveform[None]) - model.config.mean) / model.config.std
        x = model.convolution(model.pool(x.unsqueeze(1))).flatten(1, 2).transpose(1, 2)
        states: list = [None] * model.config.layers
        outputs = []
        for step in range(x.shape[1]):
            y = x[:, step : step + 1]
            for i, layer in enumerate(model.recurrent):
                y, states[i] = layer(y, states[i])
            outputs.append(y)
            context = model.attention(torch.cat(outputs[-net.window :], 1))
            expected = torch.softmax(model.classifier(context), 1)[0, 1]
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
