import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kws.evaluate import judge
from kws.metrics import au_fa_fr
from kws.model import CRNNConfig
from kws.split import published_split
from kws.train import ClipObjective, TrainConfig, Trainer, TrainingError, train
from kws.views import TrainingData, decode, training_data

SMALL = CRNNConfig(channels=3, stride=(4, 8), hidden=8, layers=1, norm=True, relu=True)
SHORT = TrainConfig(epochs=4, batch=16, learning_rate=1e-2, average=0.9)


@pytest.fixture(scope="module")
def data(tone_corpus) -> TrainingData:
    clips = decode(tone_corpus)
    return training_data(clips, "low", published_split(clips.corpus, "low"), views=2)


def same_weights(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_it_learns_and_keeps_the_best_epoch(data):
    run = train(data, SMALL, TrainConfig(epochs=25, batch=16, learning_rate=1e-2, average=0.9))
    losses = [row["validation_loss"] for row in run.history]
    assert losses[run.best_epoch - 1] == min(losses)
    assert run.history[-1]["loss"] < 0.5 * run.history[0]["loss"]
    p, y = judge(run.model, data, "validation")
    assert au_fa_fr(p, y) == run.history[run.best_epoch - 1]["validation_au_fa_fr"]
    p, y = judge(run.model, data, "test")
    assert au_fa_fr(p, y) < 0.01  # tones a factor of two apart


def test_same_seed_same_weights(data):
    a, b, c = (train(data, SMALL, SHORT, seed=seed, device="cpu") for seed in (3, 3, 4))
    assert same_weights(a.model, b.model)
    assert not same_weights(a.model, c.model)
    assert [row["loss"] for row in a.history] == [row["loss"] for row in b.history]


def test_test_clips_have_no_influence(data):
    other = data.log_mel.clone()
    other[data.split.test] = 0
    changed = replace(data, log_mel=other)
    assert same_weights(train(data, SMALL, SHORT).model, train(changed, SMALL, SHORT).model)


def test_batches_are_balanced(data):
    config = TrainConfig(keyword_share=0.25)
    trainer = Trainer(ClipObjective(data, config), SMALL, config, 0, torch.device("cpu"))
    drawn = torch.multinomial(
        trainer.objective.chances, 20_000, replacement=True, generator=torch.Generator().manual_seed(0)
    )
    assert data.labels[trainer.objective.clips[drawn]].float().mean() == pytest.approx(0.25, abs=0.015)


def test_a_stopped_run_resumes_to_the_same_weights(data, tmp_path, monkeypatch):
    whole = train(data, SMALL, SHORT, runs=tmp_path / "whole")
    real, epochs = Trainer.run_epoch, []

    def stop_in_the_third(self):
        if len(epochs) == 2:
            raise KeyboardInterrupt
        epochs.append(1)
        return real(self)

    monkeypatch.setattr(Trainer, "run_epoch", stop_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        train(data, SMALL, SHORT, runs=tmp_path / "stopped")
    monkeypatch.undo()
    resumed = train(data, SMALL, SHORT, runs=tmp_path / "stopped")
    assert same_weights(whole.model, resumed.model)
    assert [row["loss"] for row in whole.history] == [row["loss"] for row in resumed.history]


SCRIPT = """
import sys
from kws.data.corpus import folder_corpus
from kws.views import decode, training_data
from kws.split import published_split
from kws.train import train
from test_train import SMALL, SHORT
clips = decode(folder_corpus(sys.argv[1], "tones"))
data = training_data(clips, "low", published_split(clips.corpus, "low"), views=2)
train(data, SMALL, SHORT.__class__(**(SHORT.__dict__ | {"epochs": 60})), runs=sys.argv[2])
"""


def test_a_killed_process_resumes(data, tone_folder, tmp_path):
    tests = Path(__file__).parent
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{tests.parent}{os.pathsep}{tests}"}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, tone_folder, tmp_path], env=environment, stderr=subprocess.DEVNULL
    )
    while not list(tmp_path.glob("*.pt")):
        assert process.poll() is None, "the training ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    config = TrainConfig(**(SHORT.__dict__ | {"epochs": 60}))
    resumed = train(data, SMALL, config, runs=tmp_path)
    assert len(resumed.history) == 60
    assert same_weights(resumed.model, train(data, SMALL, config).model)


def test_a_finished_run_is_loaded_and_another_setting_is_not_confused_with_it(data, tmp_path, monkeypatch):
    first = train(data, SMALL, SHORT, runs=tmp_path)
    monkeypatch.setattr(Trainer, "run_epoch", lambda self: pytest.fail("trained again"))
    assert same_weights(first.model, train(data, SMALL, SHORT, runs=tmp_path).model)
    monkeypatch.undo()
    assert not same_weights(first.model, train(data, SMALL, SHORT, seed=1, runs=tmp_path).model)
    assert len(list(tmp_path.glob("*.pt"))) == 2


def test_a_damaged_state_starts_anew(data, tmp_path, capsys):
    first = train(data, SMALL, SHORT, runs=tmp_path)
    (path,) = tmp_path.glob("*.pt")
    path.write_bytes(path.read_bytes()[:500])
    assert same_weights(first.model, train(data, SMALL, SHORT, runs=tmp_path).model)
    assert "starting anew" in capsys.readouterr().out


def test_the_bar_shows_loss_quality_and_seconds(data, capsys):
    train(data, SMALL, SHORT, name="shown")
    shown = capsys.readouterr().err
    for part in ("shown, seed 0", "loss 0.", "AU_FA_FR", "4/4"):
        assert part in shown


def test_a_training_of_ten_steps_keeps_its_last_weights_not_its_first(data):
    config = TrainConfig(epochs=10, batch=len(data.split.train))
    trainer = Trainer(ClipObjective(data, config), SMALL, config, 0, torch.device("cpu"))
    first = torch.nn.utils.parameters_to_vector(trainer.model.parameters()).detach()
    for _ in range(config.epochs):  # one step each, of which the warm-up is one
        trainer.run_epoch()
    last, kept = (
        torch.nn.utils.parameters_to_vector(m.parameters()).detach() for m in (trainer.model, trainer.averaged)
    )
    assert (kept - last).norm() < 0.5 * (kept - first).norm()


def test_bad_recipes(data):
    for bad in ({"epochs": 0}, {"batch": 0}, {"learning_rate": -1.0}, {"keyword_share": 1.0}):
        with pytest.raises(ValueError, match="must be"):
            TrainConfig(**bad)
    with pytest.raises(TrainingError, match="lower the learning rate"):
        train(replace(data, views=torch.full_like(data.views, torch.nan)), SMALL, SHORT)
    with pytest.raises(ValueError, match="evaluation only"):
        train(replace(data, views=data.views[:0]), SMALL, SHORT)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_on_a_gpu(data):
    run = train(data, SMALL, SHORT, device="cuda")
    assert next(run.model.parameters()).device.type == "cpu"
    assert len(run.history) == SHORT.epochs
