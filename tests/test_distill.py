import math
from dataclasses import replace

import pytest
import torch

from kws.checkpoint import Provenance, save_model
from kws.distill import Distillation, DistillConfig
from kws.evaluate import provenance
from kws.model import CRNN, CRNNConfig
from kws.research.tc_resnet import TCResNet
from kws.research.teachers import mean_targets
from kws.split import SplitMismatch, published_split, speaker_split
from kws.targets import DistillError, alignment, as_steps, step_ends, tap, teach
from kws.train import ClipObjective, TrainConfig, Trainer, train
from kws.views import decode, training_data

TEACHER = CRNNConfig(stride=(4, 8), norm=True, relu=True, hidden=16)
STUDENT = CRNNConfig(
    pool=(2, 5), channels=3, kernel=(6, 4), stride=(3, 2), hidden=6, layers=1
)  # other width, steps, layers
PAIRS = (("convolution", "convolution"), ("recurrent.0", "recurrent.1"), ("attention", "attention"))
ALL = DistillConfig(labels=0.1, logits=0.9, layers=1.0, pairs=PAIRS, width=8)
LAYERS = ("convolution", "recurrent.0", "recurrent.1", "attention")
SHORT = TrainConfig(epochs=3, batch=16, learning_rate=1e-2, average=0.9, keep="last")


@pytest.fixture(scope="module")
def data(tone_corpus):
    clips = decode(tone_corpus)
    return training_data(clips, "low", published_split(clips.corpus, "low"), views=2)


@pytest.fixture(scope="module")
def teacher(data, tmp_path_factory):
    run = train(data, TEACHER, TrainConfig(epochs=12, batch=16, learning_rate=1e-2, average=0.9))
    path = tmp_path_factory.mktemp("teacher") / "teacher.pt"
    save_model(path, run.model, provenance(data, 0, {}))
    return path


@pytest.fixture(scope="module")
def targets(teacher, data):
    return teach(teacher, data, LAYERS)


def test_targets_are_what_the_teacher_says(teacher, targets, data):
    from kws.checkpoint import load_model

    model = load_model(teacher)
    clip = 5
    sound = [*(view[clip] for view in data.views), data.log_mel[data.split.train[clip]]]
    with torch.no_grad(), tap(model, LAYERS) as outputs:
        logits = model(torch.stack(sound).float())
    torch.testing.assert_close(targets.logits[:, clip], logits, atol=1e-4, rtol=1e-3)
    for name in LAYERS:
        assert targets.layers[name].shape[:3] == (3, len(data.split.train), as_steps(outputs[name]).shape[1])


def test_targets_do_not_hang_on_the_number_of_threads(teacher, targets, data):
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        again = teach(teacher, data, LAYERS)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(again.logits, targets.logits)
    assert all(torch.equal(again.layers[name], targets.layers[name]) for name in LAYERS)


def test_the_mean_of_teachers(targets):
    other = replace(targets, logits=targets.logits + 2.0, layers={}, key="another")
    mean = mean_targets([targets, other])
    torch.testing.assert_close(mean.logits, targets.logits + 1.0)
    assert mean.layers is targets.layers
    assert len({mean.key, targets.key, mean_targets([targets, replace(other, key="a third")]).key}) == 3
    assert mean_targets([targets]) is targets
    for wrong in ([], [targets, replace(other, split="another")]):
        with pytest.raises(DistillError, match="of the same split"):
            mean_targets(wrong)


def test_targets_are_white_over_what_is_trained_on(targets):
    for name, said in targets.layers.items():
        variances = said.float().flatten(0, 2).var(0)
        assert variances.min() > 0.4, name  # about 1, estimated from 96 clips: no axis is empty of variance


def test_alignment_by_hand():
    rows = alignment(torch.tensor([5.0, 10.0, 15.0, 40.0]), torch.tensor([10.0, 20.0, 30.0]))
    assert rows.tolist() == [[1, 0, 0], [1, 0, 0], [0.5, 0.5, 0], [0, 0, 1]]
    assert alignment(torch.tensor([3.0, 9.0]), torch.tensor([101.0])).tolist() == [[1], [1]]
    assert alignment(torch.tensor([101.0]), torch.tensor([20.0, 60.0, 100.0])).tolist() == [[0, 0, 1]]


def test_step_ends_are_where_a_step_stops_listening():
    torch.manual_seed(0)
    deep = CRNNConfig(kernel=(10, 5), stride=(5, 2), deeper=((8, (3, 3), (1, 3)),))
    for config in (TEACHER, STUDENT, CRNNConfig(), deep):
        model = CRNN(config).eval()
        sound = torch.randn(1, 40, 101)
        with torch.no_grad(), tap(model, ["recurrent.0"]) as outputs:
            model(sound)
            before = outputs["recurrent.0"]
            ends = step_ends(model, "recurrent.0", 101, before.shape[1])
            for step, end in enumerate(ends.int().tolist()):
                for frame, heard in ((end - 1, True), (end, False)):
                    changed = sound.clone()
                    changed[:, :, frame] += 1
                    model(changed)
                    assert (outputs["recurrent.0"][0, step] != before[0, step]).any() == heard


@pytest.mark.parametrize(
    "pairs", [PAIRS, (("recurrent.0", "convolution"), ("convolution", "attention"), ("attention", "recurrent.0"))]
)
def test_a_student_learns_from_layers_of_other_width_steps_and_number(data, targets, pairs):
    config = TrainConfig(epochs=25, batch=16, learning_rate=1e-2, average=0.9, keep="last")
    learn = replace(ALL, logits=0.0, labels=0.0, pairs=pairs)
    history = train(data, STUDENT, config, 0, targets, learn).history
    for mine, other in pairs:
        errors = [row[f"error of {mine} from {other}"] for row in history]
        assert errors[-1] < 0.8 * errors[0]
        assert errors[-1] > 0.02  # the share left unexplained: heads cannot agree on nothing


def test_heads_cannot_collapse(data, targets):
    """Trained on the layer terms alone, with weight decay, the teacher's heads stay orthonormal and the space keeps its variance."""
    trainer = Trainer(
        ClipObjective(data, SHORT, targets, replace(ALL, labels=0.0, logits=0.0)),
        STUDENT,
        SHORT,
        0,
        torch.device("cpu"),
    )
    for _ in range(SHORT.epochs):
        trainer.run_epoch()
    heads = [pair.teacher_head for pair in trainer.objective.distillation.heads]
    for head, (_, other) in zip(heads, PAIRS, strict=True):
        torch.testing.assert_close(head.weight @ head.weight.T, torch.eye(len(head.weight)), atol=1e-4, rtol=0)
        taught = head(targets.layers[other].float().flatten(0, 2))
        assert (taught.var(0) > 0.8).all()


def test_the_loss_by_hand(data, targets):
    """Labels, logits and ranking: independent formulas."""
    torch.manual_seed(0)
    learn = replace(ALL, layers=0.0, ranking=0.5)
    distillation = Distillation(CRNN(STUDENT), targets, learn, data.split.fingerprint)
    rows, views = torch.arange(8), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    logits, labels = torch.randn(8, 2), torch.tensor([0, 1, 0, 0, 1, 1, 0, 0])
    loss, errors = distillation(logits, {}, labels, torch.tensor(0.7), views, rows)
    t = ALL.temperature
    q = torch.softmax(targets.logits[views, rows] / t, 1)
    p = torch.softmax(logits / t, 1)
    ranking = 0.0
    for i in range(8):
        for j in range(8):
            if labels[i] == 1 and labels[j] == 0:
                odds = [float(logits[k, 1] - logits[k, 0]) for k in (i, j)]
                ranking += math.log1p(math.exp(odds[1] - odds[0])) / 15
    expected = 0.1 * 0.7 + 0.9 * t**2 * (q * (q / p).log()).sum(1).mean() + 0.5 * ranking
    torch.testing.assert_close(loss, expected)
    assert errors == {}
    one_kind, _ = distillation(logits, {}, torch.zeros(8, dtype=torch.int64), torch.tensor(0.7), views, rows)
    torch.testing.assert_close(one_kind, expected - 0.5 * ranking)  # no pair to rank, and not NaN


def test_a_perfect_student_has_no_error(data, teacher, targets):
    from kws.checkpoint import load_model

    model = load_model(teacher)
    pairs = (("recurrent.1", "recurrent.1"), ("attention", "attention"))
    distillation = Distillation(model, targets, replace(ALL, pairs=pairs), data.split.fingerprint)
    rows = torch.arange(40)
    sound = data.log_mel[data.split.train[:40]]
    with torch.no_grad(), tap(model.eval(), [mine for mine, _ in pairs]) as outputs:
        model(sound)
        taught = [
            pair.teacher_head(pair.in_time @ targets.layers[other][2, :40].float())
            for pair, (_, other) in zip(distillation.heads, pairs, strict=True)
        ]
        heads = [pair.student_head for pair in distillation.heads]
        for head, target, (mine, _) in zip(heads, taught, pairs, strict=True):
            steps = as_steps(outputs[mine])
            design = torch.cat([steps, torch.ones(*steps.shape[:2], 1)], 2).flatten(0, 1)
            solution = torch.linalg.lstsq(design.double(), target.flatten(0, 1).double()).solution.float()
            head.weight.copy_(solution[:-1].T)
            head.bias.copy_(solution[-1])
        _, errors = distillation(
            torch.zeros(40, 2), outputs, torch.zeros(40), torch.tensor(0.0), torch.full((40,), 2), rows
        )
    assert max(errors.values()) < 1e-3


def test_seeded_and_resumed(data, targets, tmp_path):
    whole = train(data, STUDENT, SHORT, 0, targets, ALL)
    again = train(data, STUDENT, SHORT, 0, targets, ALL)
    stopped = Trainer(ClipObjective(data, SHORT, targets, ALL), STUDENT, SHORT, 0, torch.device("cpu"))
    stopped.run_epoch()
    torch.save(stopped.state(), tmp_path / "state.pt")
    resumed = Trainer(ClipObjective(data, SHORT, targets, ALL), STUDENT, SHORT, 0, torch.device("cpu"))
    resumed.load_state(torch.load(tmp_path / "state.pt", weights_only=True))
    while resumed.epoch < SHORT.epochs:
        resumed.run_epoch()
    for run in (again, resumed.finish()):
        for x, y in zip(whole.model.state_dict().values(), run.model.state_dict().values(), strict=True):
            assert torch.equal(x, y)
    assert set(whole.model.state_dict()) == set(CRNN(STUDENT).state_dict())  # no head is left in the student


def test_what_does_not_fit_is_refused(data, targets, teacher, tone_corpus, tmp_path):
    split = data.split.fingerprint
    student = CRNN(STUDENT)
    with pytest.raises(
        DistillError, match=r"the teacher has no layer 'recurrent\.7'; it has convolution, recurrent\.0"
    ):
        teach(teacher, data, ["recurrent.7"])
    with pytest.raises(
        DistillError, match=r"the student has no layer 'recurrent\.1'; it has convolution, recurrent\.0, attention"
    ):
        Distillation(student, targets, replace(ALL, pairs=(("recurrent.1", "recurrent.1"),)), split)
    with pytest.raises(DistillError, match=r"'convolution' with 'classifier': the teacher taught convolution"):
        Distillation(student, targets, replace(ALL, pairs=(("convolution", "classifier"),)), split)
    with pytest.raises(DistillError, match="the student takes log-mels of 20 bands, its teacher of 40"):
        Distillation(CRNN(CRNNConfig(n_mels=20)), targets, ALL, split)
    with pytest.raises(DistillError, match="teach again"):
        Distillation(student, targets, ALL, "0" * 64)
    with pytest.raises(DistillError, match="no known times"):
        step_ends(TCResNet(), "convolution", 101, 101)
    with pytest.raises(DistillError, match=r"'convolution\.0' of a CRNN have no known times"):
        step_ends(CRNN(CRNNConfig(deeper=((8, (3, 3), (1, 1)),))), "convolution.0", 101, 11)
    other = training_data(decode(tone_corpus), "low", speaker_split(data.corpus, "low"), views=0)
    with pytest.raises(SplitMismatch):
        teach(teacher, other)
    narrow = tmp_path / "narrow.pt"
    save_model(narrow, CRNN(CRNNConfig(n_mels=20, kernel=(5, 20))), provenance(data, 0, {}))
    with pytest.raises(DistillError, match="of 20 bands, the student's data have 40"):
        teach(narrow, data)
    stranger = tmp_path / "stranger.pt"
    save_model(stranger, CRNN(), Provenance("high", "tones", split, "published", 0, 0, {}))
    with pytest.raises(DistillError, match="hears 'high', the student is to hear 'low'"):
        teach(stranger, data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": -1.0}, "logits is -1.0"),
        ({"layers": float("nan")}, "layers is nan"),
        ({"labels": 0.0}, "nothing to learn from"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"layers": 1.0, "pairs": ()}, "no student and teacher layer"),
    ],
)
def test_weights_that_make_no_sense(change, message):
    with pytest.raises(DistillError, match=message):
        DistillConfig(**change)
