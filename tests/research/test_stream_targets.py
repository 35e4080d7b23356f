"""What teachers of streams say of every training scene: their mean, each kind counting the same, at the students' times."""

from dataclasses import replace

import pytest
import torch
from conftest import STEPS, MeanEmbedding, tone_scenes

from kws.distill import DistillConfig
from kws.model import CRNN
from kws.research.scene_objective import SceneObjective, train_stream
from kws.research.speech_embedding import embedded_steps
from kws.research.stepwise import stepwise
from kws.research.stream_targets import teach_stream
from kws.research.stream_teacher import StreamTeacher, StreamTeacherConfig
from kws.scenes import OVER
from kws.targets import alignment
from kws.trainer import TrainConfig, Trainer

EMBEDDED = StreamTeacherConfig(width=8, layers=1)
ONCE = TrainConfig(epochs=1, clean_share=0.0)


@pytest.fixture(scope="module")
def data(tone_corpus):
    return tone_scenes(tone_corpus, 70, 4, embedding=MeanEmbedding())[0]


@pytest.fixture(scope="module")
def teachers():
    """Two that hear log-mels and one that hears an embedding, untrained."""
    torch.manual_seed(1)
    return CRNN(STEPS).eval(), CRNN(replace(STEPS, hidden=6)).eval(), StreamTeacher(EMBEDDED).eval()


def test_the_mean_of_what_teachers_say(data, teachers):
    first, second, _ = teachers
    one, both = teach_stream([first], data), teach_stream([first, second], data)
    frames = data.train.labels.shape[1]
    assert torch.equal(one.ends, stepwise(first).ends(frames))
    assert one.logits.shape == (70, len(one.ends), 2)
    with torch.no_grad():
        said = [stepwise(model).whole(data.train.log_mel.float()) for model in (first, second)]
    torch.testing.assert_close(one.logits, said[0].half(), rtol=0, atol=2e-3)
    torch.testing.assert_close(both.logits, (sum(said) / 2).half(), rtol=0, atol=2e-3)


def test_one_that_hears_through_an_embedding(data, teachers):
    *_, teacher = teachers
    targets = teach_stream([teacher], data)
    ends = embedded_steps(data.train.labels.shape[1])
    assert targets.logits.shape == (70, len(ends), 2)
    assert torch.equal(targets.ends, ends.float())
    with torch.no_grad():
        said = teacher.whole(data.train.embedded.float())
    torch.testing.assert_close(targets.logits, said.half(), rtol=0, atol=2e-3)


def test_each_kind_counts_half_at_the_times_of_those_that_hear_log_mels(data, teachers):
    first, _, embedded = teachers
    alone, theirs = teach_stream([first], data), teach_stream([embedded], data)
    both = teach_stream([embedded, first, embedded], data)
    assert torch.equal(both.ends, alone.ends)
    moved = alignment(alone.ends, theirs.ends) @ theirs.logits.float()
    torch.testing.assert_close(both.logits.float(), (alone.logits.float() + moved) / 2, rtol=0, atol=4e-3)


def test_other_teachers_or_scenes_are_other_targets(data, teachers):
    first, second, embedded = teachers
    keys = {teach_stream(some, data).key for some in ([first], [second], [first, second], [embedded], teachers)}
    keys.add(teach_stream([first], replace(data, key="others")).key)
    assert len(keys) == 6
    assert teach_stream([first], data).key in keys


@pytest.mark.parametrize("shape", [replace(STEPS, pool=(2, 4), hidden=6, stride=(3, 4)), EMBEDDED])
def test_students_of_either_kind_learn_at_their_own_times(data, teachers, shape):
    targets = teach_stream(teachers, data)
    learn = DistillConfig(labels=0.0, logits=1.0, temperature=1.0)
    trainer = Trainer(SceneObjective(data, ONCE, targets, learn), shape, ONCE, 0, torch.device("cpu"))
    objective, rows = trainer.objective, torch.arange(70)
    loss, _ = objective.loss(trainer.model.eval(), objective.batch(rows, torch.Generator()))
    network = objective.network
    ends = network.ends(data.train.labels.shape[1])
    said = torch.softmax(alignment(ends, targets.ends) @ targets.logits.float(), 2)
    said[data.train.labels[:, ends.long()] == OVER] = torch.tensor([1.0, 0.0])
    mine = torch.log_softmax(network.whole(data.train.heard(network.hears).float()), 2)
    kl = torch.xlogy(said, said) - said * mine
    torch.testing.assert_close(loss, kl.sum(2).mean())
    assert train_stream(data, shape, ONCE, targets=targets, distill=learn).validation_loss > 0


def test_teachers_that_cannot_be_taken_together(data, teachers):
    with pytest.raises(ValueError, match="one or more"):
        teach_stream([], data)
    coarser = CRNN(replace(STEPS, stride=(3, 4))).eval()
    with pytest.raises(ValueError, match="2 teachers that hear log_mel do not have the same steps"):
        teach_stream([teachers[0], coarser], data)
    unheard = replace(data, train=data.train._replace(embedded=torch.empty(70, 0, 0)))
    with pytest.raises(ValueError, match="without an embedding"):
        teach_stream([teachers[2]], unheard)
