"""When the first stage is sure, the second says what it would say alone; otherwise nothing. Cutting changes nothing."""

import numpy as np
import pytest
import torch
from conftest import WEIGHTS, cutting, sound, stream

from kws.data.audio import read_audio
from kws.streaming import Detector, StreamListener, load_stream, save_stream, streaming_model
from kws.streaming.two_stage import AWAKE, BACK, TwoStage


def stages(first="beyond", second="base_model"):
    return streaming_model(WEIGHTS / f"{first}.pt"), streaming_model(WEIGHTS / f"{second}.pt", True, 0.7, 2)


def by_hand(first, second, wake, waveform):
    """Every step anew: when the first stage was last sure, where the second begins, the mean of what it said last."""
    size = second.step_samples
    heard = [first.first_sample + k * first.step_samples for k in range(1_000)]
    sure = stream(first, waveform, [])
    woken = [
        any(p >= wake for p, at in zip(sure, heard, strict=False) if i * size < at <= (i + 1) * size)
        for i in range(len(waveform) // size)
    ]
    found, begin, last = [], 0, None
    for i, is_woken in enumerate(woken):
        asleep = last is None or i - last >= np.ceil(AWAKE * 16_000 / size)
        if is_woken:
            begin = max(0, (i + 1) * size - int(np.ceil(BACK * 16_000 / size)) * size) if asleep else begin
            last = i
        elif asleep:
            found.append(torch.tensor(0.0))
            continue
        said = stream(second, waveform[begin : (i + 1) * size], [])[-2:]
        found.append(said.mean() if len(said) else torch.tensor(0.0))
    return torch.stack(found[int(np.ceil(second.first_sample / size)) - 1 :])


@pytest.mark.parametrize(
    ("first", "second"), [("beyond", "base_model"), ("peer_gru_1789", "rnn_int8"), ("rnn", "beyond")]
)
def test_equal_to_each_step_by_hand(first, second, tmp_path):
    first, second = stages(first, second)
    waveform = torch.cat([sound(40_000, 3), torch.zeros(30_000), sound(30_000, 4)])
    wake = float(stream(first, waveform, []).quantile(0.9))
    expected = by_hand(first, second, wake, waveform)
    assert 0 < (expected == 0).sum() < len(expected)
    save_stream(TwoStage(first, second, wake), tmp_path / "both.pt")
    both, generator = load_stream(tmp_path / "both.pt"), torch.Generator().manual_seed(0)
    for _ in range(20):
        found = stream(both, waveform, cutting(len(waveform), generator))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert (both.keyword, both.threshold, both.smoothing) == ("happy", pytest.approx(0.7), 1)
    assert both.steps == len(waveform) // both.step_samples
    assert (expected > 0).sum() <= both.second_steps < both.steps + 20 * len(expected)


def test_the_committed_file_is_the_committed_streams(real_folder):
    """Real keywords in a row wake the base, and most are detected; other words mostly let it sleep."""
    both = load_stream(WEIGHTS / "streaming_two_stage.pt")
    built = TwoStage(*(load_stream(WEIGHTS / f"streaming_{name}.pt") for name in ("small", "base")))
    asked = {}
    for word in ("happy", "marvin"):
        clips = sorted((real_folder / word).iterdir())[:20]
        waveform = torch.cat([read_audio(clip) for clip in clips])
        found = stream(both, waveform, [100_000, 3])
        torch.testing.assert_close(found, stream(built, waveform, []), atol=1e-5, rtol=0)
        asked[word] = both.second_steps / both.steps
        detected = Detector(both.threshold, both.smoothing, both.step_samples, both.first_sample)(found)
        assert (len(detected) >= 12) if word == "happy" else (len(detected) == 0)
    assert asked["happy"] > 0.3 > 0.1 > asked["marvin"]


def test_a_chunk_that_is_no_sound_leaves_it_as_it_was():
    both, waveform = TwoStage(*stages(), 0.01), sound(30_000, 3)
    expected = both(waveform)
    both.reset()
    first = both(waveform[:7_000])
    for chunk, message in (
        (torch.zeros(2, 9), "shape"),
        (torch.full((9,), torch.nan), "NaN"),
        (torch.zeros(9).long(), "int16"),
    ):
        with pytest.raises(ValueError, match=message):
            both(chunk)
    torch.testing.assert_close(torch.cat([first, both(waveform[7_000:])]), expected)
    assert both(torch.zeros(0)).shape == (0,)


def test_as_a_listener():
    both = TwoStage(*stages(), 0.01)
    listener = StreamListener(both)
    np.testing.assert_array_equal(listener(sound(30_000, 3)), listener(sound(30_000, 3)))
    assert (listener.step_samples, listener.first_sample) == (both.step_samples, both.first_sample)


@pytest.mark.parametrize("second", ["base_model", "gru_small"])
def test_probabilities_come_when_they_should(second):
    both, waveform = TwoStage(*stages(second=second), 0.01), sound(9_000, 3)
    came = [i + 1 for i, sample in enumerate(waveform.split(1)) for _ in both(sample)]
    assert came == list(range(both.first_sample, 9_001, both.step_samples))


def test_the_stages_are_copies():
    first, second = stages()
    waveform = sound(20_000)
    expected = stream(first, waveform, [])
    first.reset()
    begun = first(waveform[:9_000])
    TwoStage(first, second, 0.01)(waveform)
    torch.testing.assert_close(torch.cat([begun, first(waveform[9_000:])]), expected)


def test_what_does_not_fit_is_refused():
    first, second = stages()
    with pytest.raises(ValueError, match="between 0 and 1"):
        TwoStage(first, second, 1.0)
    second.keyword = "sheila"
    with pytest.raises(ValueError, match="'happy', the second 'sheila'"):
        TwoStage(first, second)
