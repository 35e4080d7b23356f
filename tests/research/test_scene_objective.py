"""What streams are trained for: labels of steps, what teachers say, an embedding; and runs that go on where they stopped."""

from dataclasses import replace

import pytest
import torch
from conftest import STEPS, MeanEmbedding, tone_scenes

from kws.distill import DistillConfig
from kws.model import CRNN
from kws.research.networks import STREAMING_BASE
from kws.research.scene_objective import LABELS, SceneObjective, train_stream
from kws.research.speech_embedding import embedded_steps
from kws.research.stream_targets import teach_stream
from kws.research.stream_teacher import StreamTeacherConfig
from kws.scenes import OVER, SceneConfig
from kws.targets import alignment
from kws.trainer import TrainConfig, Trainer

PULL = DistillConfig(labels=1.0, layers=0.5, pairs=(("recurrent.0", "embedding"),))
ONCE = TrainConfig(epochs=1, clean_share=0.0, label_smoothing=0.0)
QUIET = SceneConfig(seconds=2.0, noise_share=0.0, altered_share=0.0, part_share=0.0, splice_share=0.0)


def trainer_of(data, shape=STEPS, targets=None, distill=LABELS, halved=False) -> Trainer:
    return Trainer(SceneObjective(data, ONCE, targets, distill, halved), shape, ONCE, 0, torch.device("cpu"))


def loss_of(trainer: Trainer) -> torch.Tensor:
    """On all training scenes in order."""
    objective = trainer.objective
    return objective.loss(trainer.model, objective.batch(torch.arange(len(objective.chances)), torch.Generator()))[0]


def stop_after(epochs: int, monkeypatch, train) -> None:
    """Kill a training that has run so many epochs."""
    real = Trainer.run_epoch

    def run_epoch(self):
        if self.epoch == epochs:
            raise KeyboardInterrupt
        return real(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run_epoch", run_epoch)
        with pytest.raises(KeyboardInterrupt):
            train()


def assert_same(one: torch.nn.Module, other: torch.nn.Module) -> None:
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def hearing_log_mels(data):
    """These scenes with an embedding that can be learnt: their own log-mels, at the embedding's times."""
    steps = embedded_steps(data.train.labels.shape[1])
    some = [scenes._replace(embedded=scenes.log_mel[:, :, steps]) for scenes in (data.train, data.validation)]
    return replace(data, train=some[0], validation=some[1])


def test_a_stream_is_learnt_and_a_stopped_run_goes_on(tone_corpus, tmp_path, monkeypatch):
    """High from low tones: a small model learns it in a moment, its student too; a run stopped half-way ends with the same weights."""
    data, _ = tone_scenes(tone_corpus, 192, 32, QUIET)
    shape = replace(STEPS, norm=True, relu=True)
    recipe = TrainConfig(epochs=8, batch=32, clean_share=0.0, learning_rate=2e-2, average=0.9)
    run = train_stream(data, shape, recipe, runs=tmp_path / "whole")
    assert run.history[-1]["validation_au_fa_fr"] < 0.02
    assert run.history[-1]["loss"] < 0.5 * run.history[0]["loss"]
    stop_after(3, monkeypatch, lambda: train_stream(data, shape, recipe, runs=tmp_path / "killed"))
    assert_same(run.model, train_stream(data, shape, recipe, runs=tmp_path / "killed").model)

    other = replace(shape, pool=(2, 4), hidden=6)
    targets = teach_stream([run.model], data)
    student = train_stream(data, other, recipe, targets=targets, distill=DistillConfig(labels=0.0, logits=1.0))
    assert student.history[-1]["validation_au_fa_fr"] < 0.03
    # Finished runs are loaded, and another seed is none of them.
    monkeypatch.setattr(Trainer, "run_epoch", lambda self: pytest.fail("trained again"))
    assert_same(run.model, train_stream(data, shape, recipe, runs=tmp_path / "whole").model)
    with pytest.raises(pytest.fail.Exception):
        train_stream(data, shape, recipe, 1, runs=tmp_path / "whole")


def test_labels_by_hand(tone_corpus):
    """Cross-entropy over the steps that have a label, those of the keyword counting twice."""
    data, _ = tone_scenes(tone_corpus, 32, 8, SceneConfig(seconds=3.0, no_keyword=0.0, no_speech=0.0))
    trainer = trainer_of(data)
    network = trainer.objective.network
    labels = data.train.labels[:, network.ends(data.train.labels.shape[1]).long()]
    assert set(labels.unique().tolist()) == {0, 1, OVER, -100}
    p = torch.softmax(network.whole(data.train.log_mel.float()), 2)
    nothing, keyword = -p[..., 0][labels == 0].log(), -p[..., 1][labels == 1].log()
    wanted = (nothing.sum() + 2 * keyword.sum()) / (len(nothing) + 2 * len(keyword))
    torch.testing.assert_close(loss_of(trainer), wanted)


def test_half_of_the_scenes_drawn_hold_the_keyword(tone_corpus):
    data, _ = tone_scenes(tone_corpus)
    holds = (data.train.labels == 1).any(1)
    chances = trainer_of(data).objective.chances
    assert 0 < holds.sum() < 48
    assert float(chances[holds].sum()) == pytest.approx(0.5)
    assert float(chances.sum()) == pytest.approx(1)


def test_a_student_is_taught_to_end_where_teachers_go_on(tone_corpus):
    data, _ = tone_scenes(tone_corpus, 32, 8, SceneConfig(seconds=3.0, no_keyword=0.0, no_speech=0.0))
    torch.manual_seed(0)
    targets = teach_stream([CRNN(STEPS).eval()], data)
    trainer = trainer_of(data, targets=targets, distill=DistillConfig(labels=0.0, logits=1.0, temperature=2.0))
    labels = data.train.labels[:, targets.ends.long()]
    assert (labels == OVER).any()
    said = torch.softmax(targets.logits.float() / 2, 2)
    said[labels == OVER] = torch.tensor([1.0, 0.0])
    mine = torch.log_softmax(trainer.objective.network.whole(data.train.log_mel.float()) / 2, 2)
    kl = torch.where(said > 0, said * (said.clamp_min(1e-30).log() - mine), torch.zeros(())).sum(2).mean()
    torch.testing.assert_close(loss_of(trainer), 4 * kl)


def test_a_layer_is_pulled_towards_the_embedding(tone_corpus, tmp_path, monkeypatch):
    data = hearing_log_mels(tone_scenes(tone_corpus)[0])
    recipe = TrainConfig(epochs=8, batch=32, clean_share=0.0)
    run = train_stream(data, STEPS, recipe, distill=PULL)
    errors = [row["error of recurrent.0, embedding"] for row in run.history]
    assert errors[-1] < 0.8 * errors[0]
    # Its projection is part of the state that a stopped training goes on from, and of nothing else.
    stop_after(2, monkeypatch, lambda: train_stream(data, STEPS, recipe, distill=PULL, runs=tmp_path))
    assert_same(run.model, train_stream(data, STEPS, recipe, distill=PULL, runs=tmp_path).model)
    assert set(run.model.state_dict()) == set(CRNN(STEPS).state_dict())


def test_the_pull_by_hand(tone_corpus):
    """Labels, and half the error of the projected layer from features of mean 0 and variance 1 at the student's times."""
    data = hearing_log_mels(tone_scenes(tone_corpus)[0])
    trainer, alone = trainer_of(data, distill=PULL), trainer_of(data)
    features = data.train.embedded.float()
    some = features[::50]
    features = (features - some.mean((0, 2))[:, None]) / some.std((0, 2)).clamp_min(1e-3)[:, None]
    frames, steps = data.train.labels.shape[1], trainer.objective.network
    wanted = features @ alignment(steps.ends(frames), embedded_steps(frames).float()).T
    network = steps.network
    silence = network.silence[:, :, 1:].expand(len(features), -1, -1)
    x = network.positions(torch.cat([silence, (data.train.log_mel.float() + 7) / 5], 2))
    x, _ = trainer.model.recurrent[0](x[:, -network.first_step :])
    error = (trainer.objective.heads[0].student_head(x) - wanted.transpose(1, 2)).square().mean()
    torch.testing.assert_close(loss_of(trainer), loss_of(alone) + 0.5 * error)


def test_without_an_embedding_nothing_is_pulled(tone_corpus):
    plain, _ = tone_scenes(tone_corpus)
    pulled, alone = (train_stream(plain, STEPS, ONCE, distill=learns) for learns in (PULL, LABELS))
    assert_same(pulled.model, alone.model)
    assert not any(name.startswith("error of") for name in pulled.history[0])


def test_a_network_that_hears_through_an_embedding(tone_corpus):
    data, _ = tone_scenes(tone_corpus, embedding=MeanEmbedding())
    shape = StreamTeacherConfig(width=8, layers=1)
    objective = trainer_of(data, shape).objective
    assert torch.equal(objective.heard, data.train.embedded)
    assert torch.equal(objective.step_labels, data.train.labels[:, embedded_steps(data.train.labels.shape[1])])
    run = train_stream(data, shape, replace(ONCE, epochs=2))
    assert len(run.history) == 2
    assert run.validation_loss > 0
    # Its dropout follows from the seed too, whatever was drawn in this process before.
    torch.rand(1)
    assert_same(run.model, train_stream(data, shape, replace(ONCE, epochs=2)).model)


def test_what_is_trained_in_half_precision_is_nearly_the_same(tone_corpus):
    data, _ = tone_scenes(tone_corpus, 32, 8)
    losses, slopes = [], []
    for halved in (False, True):
        trainer = trainer_of(data, STREAMING_BASE, halved=halved)
        losses.append(loss_of(trainer))
        losses[-1].backward()
        slopes.append(torch.cat([p.grad.flatten() for p in trainer.model.parameters()]))
    assert losses[0] != losses[1]
    torch.testing.assert_close(losses[0], losses[1], rtol=0.02, atol=0)
    assert torch.cosine_similarity(*slopes, dim=0) > 0.99


def test_what_does_not_fit_scenes_is_refused(tone_corpus):
    data, _ = tone_scenes(tone_corpus, 4, 2)
    with pytest.raises(ValueError, match="clean_share"):
        train_stream(data, STEPS, TrainConfig(epochs=1))
    with pytest.raises(ValueError, match="recurrent layer and 'embedding'"):
        train_stream(data, STEPS, ONCE, distill=DistillConfig(layers=1.0))
    with pytest.raises(ValueError, match="there are no targets"):
        train_stream(data, STEPS, ONCE, distill=DistillConfig(logits=1.0))
    with pytest.raises(ValueError, match="without an embedding"):
        train_stream(data, StreamTeacherConfig(), ONCE)
