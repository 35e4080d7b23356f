"""What streams are trained on and how: labels of steps, lessons, an embedding, runs that go on where they stopped."""

from dataclasses import replace

import pytest
import torch
from conftest import high_and_low
from kws.research.stream_ladder import STREAMING_BASE
from kws.research.stream_training import StreamTrainer, step_frames, stream_data, teach_stream, train_stream

from kws.distill import DistillConfig, alignment
from kws.model import CRNN, CRNNConfig
from kws.research.speech_embedding import SpeechEmbedding, embedded_steps
from kws.research.stream_teacher import StreamTeacherConfig
from kws.scenes import OVER, SceneConfig, sounds_of
from kws.split import speaker_split
from kws.streaming import StreamingCRNN
from kws.train import TrainConfig, Trainer
from kws.views import decode


def test_another_keyword_or_sound_makes_other_scenes(tone_corpus):
    clips = decode(tone_corpus)
    split = speaker_split(clips.corpus, "high")
    noises = [torch.zeros(48_000, dtype=torch.int16)]

    def key(keyword: str, noises: list[torch.Tensor]) -> str:
        sounds = {subset: sounds_of(clips, keyword, split[subset], noises) for subset in ("train", "validation")}
        return stream_data(clips, keyword, split, sounds, 2, 2).key

    assert key("high", noises) == key("high", noises)
    assert len({key("high", noises), key("low", noises), key("high", [noises[0] + 1])}) == 3


def test_a_stream_is_learnt_and_a_stopped_run_goes_on(tone_corpus, tmp_path, monkeypatch):
    """High from low tones: a small model learns it in a moment, its student too; a run stopped half-way ends with the same weights."""
    clips = decode(tone_corpus)
    split = speaker_split(clips.corpus, "high")
    noises = [torch.zeros(48_000, dtype=torch.int16)]
    sounds = {subset: sounds_of(clips, "high", split[subset], noises) for subset in ("train", "validation")}
    config = SceneConfig(seconds=2.0, noise_share=0.0, altered_share=0.0, part_share=0.0, splice_share=0.0)
    data = stream_data(clips, "high", split, sounds, 256, 64, config, cache=tmp_path)
    assert data.labels.shape == (320, 201)
    assert data.split.fingerprint == split.fingerprint
    shape = CRNNConfig(pool=(2, 5), channels=4, kernel=(6, 4), stride=(3, 2), norm=True, relu=True, hidden=8, layers=1)
    recipe = TrainConfig(epochs=8, batch=32, clean_share=0.0, learning_rate=2e-2, average=0.9)
    run = train_stream(data, shape, recipe, runs=tmp_path / "runs")
    with pytest.raises(ValueError, match="clean_share"):
        train_stream(data, shape, TrainConfig(epochs=1))
    assert run.history[-1]["validation_au_fa_fr"] < 0.02
    assert run.history[-1]["loss"] < 0.5 * run.history[0]["loss"]

    real, epochs = Trainer.run_epoch, []

    def stop_in_the_fourth(self):
        if len(epochs) == 3:
            raise KeyboardInterrupt
        epochs.append(1)
        return real(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run_epoch", stop_in_the_fourth)
        with pytest.raises(KeyboardInterrupt):
            train_stream(data, shape, recipe, runs=tmp_path / "killed")
    resumed = train_stream(data, shape, recipe, runs=tmp_path / "killed")
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    lessons, untrained = teach_stream([run.model], data), CRNN(shape).eval()
    both = teach_stream([run.model, untrained], data)
    mean = (lessons.logits.float() + teach_stream([untrained], data).logits.float()) / 2
    assert torch.allclose(both.logits.float(), mean, atol=0.01)
    assert both.key != lessons.key
    with pytest.raises(ValueError, match="one or more"):
        teach_stream([], data)
    other = replace(shape, pool=(2, 4), hidden=6)
    student = train_stream(data, other, recipe, lessons=lessons, distill=DistillConfig(labels=0.0, logits=1.0))
    assert student.history[-1]["validation_au_fa_fr"] < 0.03
    assert lessons.logits.shape[:2] == (256, len(step_frames(StreamingCRNN(run.model), 201)))


def test_a_teacher_that_hears_through_an_embedding_teaches_a_student(tone_corpus):
    clips, split, sounds = high_and_low(tone_corpus)
    torch.manual_seed(0)
    config = SceneConfig(seconds=2.0)
    data = stream_data(clips, "high", split, sounds, 96, 32, config, embedding=SpeechEmbedding().eval())
    shape = StreamTeacherConfig(width=8, layers=1)
    run = train_stream(data, shape, TrainConfig(epochs=2, batch=32, clean_share=0.0))
    lessons = teach_stream([run.model], data)
    ends = embedded_steps(data.labels.shape[1])
    assert lessons.logits.shape == (96, len(ends), 2)
    assert torch.equal(lessons.ends, ends.float())
    assert torch.equal(data.heard_by(run.model).labels, data.labels[:, ends])
    torch.testing.assert_close(
        lessons.logits, run.model.whole(data.embedded[data.split.train].float()).detach().half(), rtol=0, atol=2e-3
    )
    student = CRNNConfig(pool=(2, 5), channels=4, kernel=(6, 4), stride=(3, 2), hidden=8, layers=1)
    taught = train_stream(data, student, TrainConfig(epochs=1, clean_share=0.0), lessons=lessons)
    assert taught.validation_loss > 0
    plain = stream_data(clips, "high", split, sounds, 96, 32, config)
    assert torch.equal(plain.views, data.views)
    with pytest.raises(ValueError, match="learns from labels"):
        train_stream(data, shape, TrainConfig(epochs=1, clean_share=0.0), lessons=lessons)
    with pytest.raises(ValueError, match="without an embedding"):
        train_stream(plain, shape, TrainConfig(epochs=1, clean_share=0.0))
    # Of two kinds, each counts half, at the times of those that hear log-mels.
    alone, both = teach_stream([taught.model], data), teach_stream([run.model, taught.model, run.model], data)
    assert torch.equal(both.ends, alone.ends)
    moved = alignment(alone.ends, lessons.ends) @ run.model.whole(data.embedded[data.split.train].float()).detach()
    torch.testing.assert_close(both.logits.float(), (alone.logits.float() + moved) / 2, rtol=0, atol=4e-3)
    coarser = CRNN(CRNNConfig(pool=(2, 5), channels=4, kernel=(6, 4), stride=(3, 4), hidden=8, layers=1)).eval()
    with pytest.raises(ValueError, match="do not have the same steps"):
        teach_stream([taught.model, coarser], data)


def test_a_layer_is_pulled_towards_the_embedding(tone_corpus, tmp_path, monkeypatch):
    clips, split, sounds = high_and_low(tone_corpus)
    torch.manual_seed(0)
    config = SceneConfig(seconds=2.0)
    data = stream_data(clips, "high", split, sounds, 96, 32, config, embedding=SpeechEmbedding().eval())
    heard = torch.cat([data.log_mel, data.views[0].float()])[:, :, embedded_steps(data.labels.shape[1])]
    data = replace(data, embedded=heard.half())  # what can be learnt, other than what a new embedding says
    shape = CRNNConfig(pool=(2, 5), channels=4, kernel=(6, 4), stride=(3, 2), hidden=8, layers=1)
    pull = DistillConfig(labels=1.0, layers=0.5, pairs=(("recurrent.0", "embedding"),))
    recipe = TrainConfig(epochs=8, batch=32, clean_share=0.0)
    run = train_stream(data, shape, recipe, distill=pull)
    errors = [row["error of recurrent.0, embedding"] for row in run.history]
    assert errors[-1] < 0.8 * errors[0]
    # Its projection is part of the state that a stopped training goes on from.
    with monkeypatch.context() as patch:
        after = StreamTrainer.run_epoch

        def stop(self):
            if self.epoch == 2:
                raise KeyboardInterrupt
            return after(self)

        patch.setattr(StreamTrainer, "run_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            train_stream(data, shape, recipe, distill=pull, runs=tmp_path)
    resumed = train_stream(data, shape, recipe, distill=pull, runs=tmp_path)
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name])

    # By hand: labels, and half the error of the projected layer from features of mean 0 and variance 1 at the student's times.
    trainer = StreamTrainer(data, shape, recipe, 0, torch.device("cpu"), distill=pull)
    alone = StreamTrainer(data, shape, recipe, 0, torch.device("cpu"))
    train = torch.from_numpy(data.split.train)
    log_mel, rows = data.views[0].float(), torch.arange(96)
    features = data.embedded[train].float()
    some = features[::50]
    features = (features - some.mean((0, 2))[:, None]) / some.std((0, 2)).clamp_min(1e-3)[:, None]
    ends = step_frames(trainer.network, data.labels.shape[1])
    wanted = features @ alignment(ends, embedded_steps(data.labels.shape[1]).float()).T
    x = trainer.network.positions(
        torch.cat([trainer.network.silence[:, :, 1:].expand(96, -1, -1), (log_mel + 7) / 5], 2)
    )
    x, _ = trainer.model.recurrent[0](x[:, -trainer.network.first_step :])
    error = (trainer.distillation.projections[0](x) - wanted.transpose(1, 2)).square().mean()
    loss = trainer._loss(log_mel, trainer.step_labels, torch.zeros(96), rows)
    torch.testing.assert_close(loss, alone._loss(log_mel, trainer.step_labels, torch.zeros(96), rows) + 0.5 * error)

    plain = stream_data(clips, "high", split, sounds, 96, 32, config)
    same = [train_stream(plain, shape, recipe, distill=learns).model for learns in (pull, DistillConfig())]
    for one, other in zip(same[0].parameters(), same[1].parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(ValueError, match="recurrent layer and 'embedding'"):
        train_stream(data, shape, recipe, distill=DistillConfig(layers=1.0))


def test_what_is_trained_in_half_precision_is_nearly_the_same(tone_corpus):
    clips, split, sounds = high_and_low(tone_corpus)
    data = stream_data(clips, "high", split, sounds, 32, 8, SceneConfig(seconds=2.0))
    losses, slopes = [], []
    for halved in (False, True):
        trainer = StreamTrainer(data, STREAMING_BASE, TrainConfig(clean_share=0.0), 0, torch.device("cpu"))
        trainer.halved = halved
        losses.append(trainer._loss(data.views[0].float(), trainer.step_labels, torch.zeros(32), torch.arange(32)))
        losses[-1].backward()
        slopes.append(torch.cat([p.grad.flatten() for p in trainer.model.parameters()]))
    assert losses[0] != losses[1]
    torch.testing.assert_close(losses[0], losses[1], rtol=0.02, atol=0)
    assert torch.cosine_similarity(*slopes, dim=0) > 0.99


def test_a_student_is_taught_to_end_where_teachers_go_on(tone_corpus):
    clips, split, sounds = high_and_low(tone_corpus)
    data = stream_data(clips, "high", split, sounds, 32, 8, SceneConfig(seconds=3.0, no_keyword=0.0, no_speech=0.0))
    shape = CRNNConfig(pool=(2, 5), channels=4, kernel=(6, 4), stride=(3, 2), hidden=8, layers=1)
    torch.manual_seed(0)
    lessons = teach_stream([CRNN(shape).eval()], data)
    learn = DistillConfig(labels=0.0, logits=1.0, temperature=2.0)
    trainer = StreamTrainer(data, shape, TrainConfig(clean_share=0.0), 0, torch.device("cpu"), lessons, learn)
    rows = torch.arange(32)
    labels = data.labels[torch.from_numpy(data.split.train)][:, lessons.ends.long()]
    assert (labels == OVER).any()
    log_mel = data.views[0].float()
    said = torch.softmax(lessons.logits.float() / 2, 2)
    said[labels == OVER] = torch.tensor([1.0, 0.0])
    mine = torch.log_softmax(trainer.network.whole(log_mel) / 2, 2)
    kl = torch.where(said > 0, said * (said.clamp_min(1e-30).log() - mine), torch.zeros(())).sum(2).mean()
    loss = trainer._loss(log_mel, labels, torch.zeros(32), rows)
    torch.testing.assert_close(loss, 4 * kl)
