"""A study trains what is not there, once; saves, judges and measures it; and a report trains nothing."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from kws.checkpoint import load_model, load_provenance
from kws.cost import count_macs, size_in_bytes
from kws.evaluate import judge_checkpoint
from kws.metrics import au_fa_fr, one_minus_auc
from kws.research import study as module
from kws.research.networks import GRU_SMALL, RUNGS
from kws.research.settings import Settings
from kws.research.study import KINDS, NotTrained, Study
from kws.targets import teach
from kws.trainer import Run, Trainer

NAMES = ("base", "rnn", "rnn_fp16", "rnn_int8", "beyond")


@pytest.fixture(scope="module")
def study(tone_folder, tmp_path_factory):
    """Base, a small teacher, and students of one and of four teachers, of two seeds on both splits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("study"))
        patch.setenv("KWS_JOBS", "1")
        patch.setitem(RUNGS, "teacher", replace(RUNGS["teacher"], config=GRU_SMALL))
        found = Study(Settings(str(tone_folder), "low", seeds=2, epochs=2, views=1, cache="cache"))
        found.fit("base", "teacher", "rnn", "beyond")
        found.store_again("rnn_fp16", "rnn_int8")
        yield found


@pytest.fixture
def nothing_is_trained(monkeypatch):
    monkeypatch.setattr(module, "train", lambda *args, **named: pytest.fail("trained again"))


def again(study: Study, **changes) -> Study:
    """As a notebook that is run another time."""
    return Study(replace(study.settings, **changes))


def test_what_is_there_is_not_trained_again(study, nothing_is_trained, capsys):
    study.fit("base", "teacher", "rnn", "beyond")
    again(study).fit("base", "rnn")
    again(study, report=True).fit("base", "teacher", "rnn", "beyond")
    shown = capsys.readouterr()
    assert "20 trainings, 20 of them done before" in shown.out
    assert "epoch" not in shown.err


@pytest.mark.parametrize("change", [{"epochs": 3}, {"views": 2}, {"split_seed": 1}, {"anew": True}])
def test_another_recipe_or_split_is_not_taken_for_it(study, change):
    assert all(study.is_there("rnn", kind, seed) for kind in KINDS for seed in study.seeds("rnn"))
    other = again(study, **change)
    assert not any(other.is_there("rnn", kind, seed) for kind in KINDS for seed in other.seeds("rnn"))


def test_other_sound_of_the_same_names_is_not_taken_for_it(study, tmp_path):
    shutil.copytree(study.settings.corpus, tmp_path / "other")
    other = again(study, corpus=str(tmp_path / "other"))
    other.weights = study.weights
    assert other.is_there("base", "published", 0)
    clip = next((tmp_path / "other" / "low").glob("*.wav"))
    soundfile.write(clip, 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000)
    other = again(other)
    other.weights = study.weights
    assert other.splits["published"].fingerprint == study.splits["published"].fingerprint
    assert not other.is_there("base", "published", 0)


def test_a_report_says_what_is_missing(study, nothing_is_trained):
    with pytest.raises(NotTrained, match=r"rnn-published-0\.pt: not there, or of another split or recipe"):
        again(study, report=True, epochs=3).fit("rnn")
    with pytest.raises(NotTrained, match=r"rnn-published-2\.pt"):
        again(study, report=True, seeds=3).fit("rnn")
    with pytest.raises(NotTrained, match=r"tc_resnet8-speaker-disjoint-0\.pt"):
        again(study, report=True).fit("tc_resnet8", kinds=("speaker-disjoint",))


def test_lost_weights_come_from_the_finished_run(study, monkeypatch):
    monkeypatch.setattr(Trainer, "run_epoch", lambda self: pytest.fail("trained again"))
    path = study.path("rnn", "published", 1)
    before, curves = path.read_bytes(), study.curves("rnn")
    path.unlink()
    study.fit("rnn")
    assert path.read_bytes() == before
    assert study.curves("rnn") == curves


def test_a_network_is_judged_as_stored_before_it_is_written(study):
    for name in NAMES:
        for kind in KINDS:
            for seed in study.seeds(name):
                path = study.path(name, kind, seed)
                p, y = judge_checkpoint(path, study.sets[kind])
                assert np.array_equal(study.judged(name, kind, seed)[0], p)
                about = load_provenance(path)
                assert (about.metrics["test 1-AUC"], about.metrics["test AU_FA_FR"]) == (
                    one_minus_auc(p, y),
                    au_fa_fr(p, y),
                )
                assert (about.keyword, about.split_kind, about.seed) == ("low", kind, seed)
                assert not load_model(path).config.norm  # folded in


def test_each_is_written_once(study, monkeypatch, tmp_path):
    written, save = [], module.save_model

    def count(path, *args):
        written.append(Path(path).name)
        save(path, *args)

    monkeypatch.setattr(module, "save_model", count)
    monkeypatch.setattr(study, "weights", tmp_path)
    study.fit("base", "rnn_from_labels")
    assert sorted(written) == sorted(
        f"{name}-{kind}-{seed}.pt" for name in ("base", "rnn_from_labels") for kind in KINDS for seed in (0, 1)
    )


def test_a_killed_process_leaves_no_record_beside_other_weights(study, monkeypatch, tmp_path):
    monkeypatch.setattr(study, "weights", tmp_path)
    study.fit("base", kinds=("published",))
    longer = again(study, epochs=3)
    longer.weights = tmp_path

    def kill(self, *args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Study, "write", kill)
        with pytest.raises(KeyboardInterrupt):
            longer.fit("base", kinds=("published",))
    assert not longer.is_there("base", "published", 0)
    longer.fit("base", kinds=("published",))
    assert longer.is_there("base", "published", 0)
    assert not study.is_there("base", "published", 0)


def test_two_processes_that_save_at_once_leave_no_record_beside_other_weights(study, monkeypatch, tmp_path):
    """The second saves between the first's weights and its record, or would if it could."""
    model = study.model("base")
    monkeypatch.setattr(study, "weights", tmp_path)
    job, run = ("base", "published", 0), Run(model, [{"validation_loss": 1.0}], 1)
    longer, write, others = again(study, epochs=3), module.write_record, []
    longer.weights = tmp_path

    def let_the_other_in(path, record):
        if not others:
            others.append(threading.Thread(target=longer.save_run, args=(job, run)))
            others[0].start()
            others[0].join(1)
        write(path, record)

    monkeypatch.setattr(module, "write_record", let_the_other_in)
    study.save_run(job, run)
    others[0].join()
    assert longer.is_there(*job)


def test_students_learn_from_the_first_teacher_or_from_the_mean_of_all(study):
    for kind in KINDS:
        data = study.training(kind)
        said = [teach(study.path("teacher", kind, seed), data).logits for seed in range(4)]
        one, all_of_them = study.targets(kind, RUNGS["rnn"]), study.targets(kind, RUNGS["beyond"])
        assert torch.equal(one.logits, said[0])
        torch.testing.assert_close(all_of_them.logits, sum(said) / 4)
        assert set(one.layers) == set(all_of_them.layers) == {"convolution", "recurrent.0", "recurrent.1", "attention"}


def test_it_is_measured_from_the_files_alone(study, nothing_is_trained):
    rows = again(study, report=True).measure(*NAMES)
    assert [row.name for row in rows] == list(NAMES)
    assert rows[0].compression == rows[0].speedup == 1
    for row in rows:
        path = study.path(row.name, "published", 0)
        assert (row.bytes, row.macs) == (size_in_bytes(path), count_macs(load_model(path)))
        assert row.compression == rows[0].bytes / row.bytes
        assert row.speedup == rows[0].macs / row.macs
        assert row.value_bytes < row.bytes
        for kind in KINDS:
            areas = [load_provenance(study.path(row.name, kind, s)).metrics["test 1-AUC"] for s in (0, 1)]
            assert row.quality[kind].one_minus_auc[0] == pytest.approx(np.mean(areas))
            assert row.quality[kind].clips == len(study.splits[kind].test)
            assert row.quality[kind].seeds == 2
    sizes = {row.name: row.bytes for row in rows}
    assert sizes["rnn"] > sizes["rnn_fp16"] > sizes["rnn_int8"]
    assert [row.macs for row in rows[1:4]] == [rows[1].macs] * 3
    # Against the base of other rows, in noise, under another title.
    (noisy,) = study.measure("rnn", base=rows, snr_db=-30.0, called={"rnn": "in noise"})
    assert (noisy.title, noisy.compression) == ("in noise", rows[1].compression)
    for kind in KINDS:
        assert noisy.quality[kind].one_minus_auc != rows[1].quality[kind].one_minus_auc


def test_a_network_is_measured_on_the_kinds_of_split_that_it_was_trained_on(study):
    study.fit("rnn_from_labels", kinds=("published",))
    assert list(study.measure("rnn_from_labels")[0].quality) == ["published"]
    with pytest.raises(NotTrained, match=r"tc_resnet8-published-0\.pt: not there; train it first"):
        study.measure("tc_resnet8")


def test_the_best_seed_is_handed_out(study):
    for kind in KINDS:
        records = [study.curves("rnn")[f"{kind}, seed {seed}"] for seed in (0, 1)]
        losses = [record.history[record.best_epoch - 1]["validation_loss"] for record in records]
        assert study.best_seed("rnn", kind) == int(np.argmin(losses))
        assert [record.best_epoch for record in records] == [4, 4]  # a student is kept last
    target = study.weights / "given.pt"
    assert again(study, report=True).hand_out("rnn", "speaker-disjoint", "given") == target
    assert not target.exists()
    assert study.hand_out("rnn", "speaker-disjoint", "given") == target
    best = study.path("rnn", "speaker-disjoint", study.best_seed("rnn", "speaker-disjoint"))
    assert target.read_bytes() == best.read_bytes()
    assert study.hand_out("rnn").name == "rnn.pt"


def test_a_report_stores_nothing_again(study, monkeypatch):
    monkeypatch.setattr(module, "save_model", lambda *args: pytest.fail("written"))
    again(study, report=True).store_again("rnn_fp16", "rnn_int8")


def test_figures_are_png_files_of_the_same_bytes(study):
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([1, 2])
    path = study.plots / "line.png"
    study.save(figure, "line")
    first = path.read_bytes()
    assert first.startswith(b"\x89PNG")
    study.save(figure, "line")
    assert path.read_bytes() == first


def test_any_number_of_jobs_trains_the_same_weights(study, monkeypatch, tmp_path):
    found = []
    for jobs in ("1", "2"):
        monkeypatch.setenv("KWS_JOBS", jobs)
        one = again(study, seeds=1, cache=str(tmp_path / f"cache {jobs}"))
        one.weights = tmp_path / jobs
        one.fit("base", "teacher", "gru_small", kinds=("published",))
        found.append({path.name: path.read_bytes() for path in one.weights.glob("seeds/*.pt")})
    assert len(found[0]) == 6
    assert found[0] == found[1]
