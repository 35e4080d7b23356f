"""The teacher of streams has heard nothing after its step, says the same in pieces, and can be trained, saved, loaded and listened with."""

import pytest
import torch

from kws.checkpoint import Provenance, load_model, save_model
from kws.features import HOP, LogMel
from kws.model import ConfigError
from kws.stream_report import WAYS, Listener
from kws.stream_teacher import StreamTeacher, StreamTeacherConfig, teacher_probabilities
from kws.stream_training import step_frames

SMALL = StreamTeacherConfig(channels=(2, 3, 4), width=8, dilations=(1, 2))


@pytest.fixture
def teacher() -> StreamTeacher:
    torch.manual_seed(0)
    model = StreamTeacher(SMALL)
    model.whole(torch.randn(8, 40, 201) * 3 - 7)  # batch norm has seen something
    return model.eval()


def noise(frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, 40, frames, generator=torch.Generator().manual_seed(seed)) * 3 - 7


@pytest.mark.parametrize("frame", [0, 50, 97, 98, 99, 100, 180])
def test_a_step_has_heard_no_frame_after_its_own_and_only_so_many_before(teacher, frame):
    heard = noise(201)
    changed = heard.clone()
    changed[:, :, frame] += 50
    with torch.inference_mode():
        moved = (teacher.whole(changed) - teacher.whole(heard)).abs().amax((0, 2)) > 0
    ends = step_frames(teacher, 201)
    assert len(ends) == len(moved)
    assert moved.any()
    assert ends[moved].min() >= frame
    assert ends[moved].max() <= frame + teacher.hears


def test_pieces_are_the_whole(teacher):
    log_mel = noise(1203)[0]
    with torch.inference_mode():
        whole = torch.softmax(teacher.whole(log_mel[None]), 2)[0, :, 1]
    assert len(whole) == len(step_frames(teacher, 1203))
    torch.testing.assert_close(teacher_probabilities(teacher, log_mel, piece=200), whole, rtol=0, atol=1e-2)  # bfloat16


def test_listening_is_the_same_as_hearing_the_log_mel(teacher):
    waveform = 0.1 * torch.randn(40_000, generator=torch.Generator().manual_seed(0))
    listener = Listener(teacher)
    with torch.inference_mode():
        whole = torch.softmax(teacher.whole(LogMel()(waveform[None])), 2)[0, :, 1]
    assert abs(torch.from_numpy(listener(waveform)) - whole).max() < 1e-2
    assert (listener.first_sample, listener.step_samples) == (16 * HOP, 4 * HOP)
    with pytest.raises(ValueError, match="alone"):
        Listener(teacher, WAYS[1])


def test_saved_and_loaded(teacher, tmp_path):
    save_model(tmp_path / "teacher.pt", teacher, Provenance("yes", "c", "f", "speaker-disjoint", 0, 0, {}))
    loaded = load_model(tmp_path / "teacher.pt")
    assert loaded.config == SMALL
    with torch.inference_mode():
        assert torch.equal(loaded(noise(101)), teacher(noise(101)))


def test_bad_input(teacher):
    with pytest.raises(ValueError, match="40 bands, 17 or more frames"):
        teacher(noise(16))
    with pytest.raises(ConfigError, match="positive"):
        StreamTeacherConfig(width=0)
