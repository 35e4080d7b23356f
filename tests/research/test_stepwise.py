"""Networks that answer at every step: when their steps end, and that a waveform is heard as a scene is."""

import numpy as np
import pytest
import torch
from conftest import SHAPES, STEPS, sound

from kws.features import HOP, LogMel, frames_in
from kws.model import CRNN
from kws.research.speech_embedding import SpeechEmbedding
from kws.research.stepwise import EMBEDDING, LOG_MEL, stepwise
from kws.research.stream_teacher import StreamTeacher, StreamTeacherConfig
from kws.research.tc_resnet import TCResNet

TEACHER = StreamTeacherConfig(width=8, layers=2)


@pytest.mark.parametrize("shape", [STEPS, SHAPES["separable"], SHAPES["deep"]])
@torch.no_grad()
def test_a_step_has_heard_the_frame_that_it_ends_with_and_none_after_it(shape):
    torch.manual_seed(0)
    network, log_mel = stepwise(CRNN(shape).eval()), torch.randn(1, 40, 101)
    assert network.hears == LOG_MEL
    before, ends = network.whole(log_mel), network.ends(101).int().tolist()
    assert len(ends) == before.shape[1]
    for step in (0, 1, len(ends) - 1):
        for frame, heard in ((ends[step], True), (ends[step] + 1, False)):
            if frame <= 100:
                changed = log_mel.clone()
                changed[:, :, frame] += 1
                assert (network.whole(changed)[:, step] != before[:, step]).any() == heard


@torch.no_grad()
def test_a_waveform_is_heard_as_a_scene_is():
    torch.manual_seed(0)
    model, waveform = CRNN(STEPS).eval(), sound(48_000)
    network, listener = stepwise(model), stepwise(model).listener(None)
    said, ends = listener(waveform), network.ends(frames_in(48_000))
    whole = torch.softmax(network.whole(LogMel()(waveform[None])), 2)[0, :, 1].numpy()
    times = listener.first_sample + listener.step_samples * np.arange(len(said))
    assert times.tolist() == (HOP * ends[: len(said)]).tolist()
    # The last frames of a scene hear silence after it, the first ones of a stream silence before it.
    assert len(whole) - len(said) <= 1
    np.testing.assert_allclose(said[1:], whole[1 : len(said)], atol=1e-5)


@torch.no_grad()
def test_a_waveform_through_an_embedding():
    torch.manual_seed(0)
    embedding, model, waveform = SpeechEmbedding().eval(), StreamTeacher(TEACHER).eval(), sound(48_000)
    network = stepwise(model)
    assert network.hears == EMBEDDING
    listener = network.listener(embedding)
    said, ends = listener(waveform), network.ends(frames_in(48_000))
    whole = torch.softmax(network.whole(embedding(waveform[None])), 2)[0, :, 1].numpy()
    np.testing.assert_allclose(said, whole, atol=1e-3)
    times = listener.first_sample + listener.step_samples * np.arange(len(said))
    assert times.tolist() == (HOP * ends).tolist()
    with pytest.raises(ValueError, match="none was given: set KWS_EMBEDDING"):
        network.listener(None)


@torch.no_grad()
def test_a_teacher_hears_no_later_step_and_answers_with_the_last():
    torch.manual_seed(0)
    model, embedded = StreamTeacher(TEACHER).eval(), torch.randn(2, 96, 12)
    whole = model.whole(embedded)
    assert whole.shape == (2, 12, 2)
    for step in (0, 5, 10):
        changed = embedded.clone()
        changed[:, :, step + 1 :] += 1
        torch.testing.assert_close(model.whole(changed)[:, : step + 1], whole[:, : step + 1])
        assert not torch.allclose(model.whole(changed)[:, step + 1], whole[:, step + 1])
    torch.testing.assert_close(model(embedded), whole[:, -1])
    for wrong in (torch.zeros(96, 4), torch.zeros(1, 40, 4), torch.zeros(1, 96, 0)):
        with pytest.raises(ValueError, match="takes features of shape"):
            model(wrong)


def test_a_network_in_training_answers_as_one_in_use():
    """Of which the batch norm and the dropout are those of a trained one."""
    torch.manual_seed(0)
    model, embedded = StreamTeacher(TEACHER), torch.randn(2, 96, 12)
    assert torch.equal(stepwise(model.train()).whole(embedded), stepwise(model.train()).whole(embedded))


def test_other_networks_have_no_steps():
    with pytest.raises(KeyError):
        stepwise(TCResNet())
