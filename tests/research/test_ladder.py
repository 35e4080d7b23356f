from dataclasses import replace

import pytest
import torch
from kws.architectures import build

from kws.checkpoint import load_model, load_provenance, save_model
from kws.compress import fold_batch_norm
from kws.cost import count_macs, count_parameters, size_in_bytes
from kws.distill import DistillConfig, teach
from kws.evaluate import judge_checkpoint, provenance
from kws.metrics import one_minus_auc
from kws.report import tables as report
from kws.research import ladder
from kws.research.settings import Settings
from kws.split import SPLITS
from kws.views import decode, training_data

PUBLISHED = {  # name: parameters and speed-up as published
    "peer_rnn_2546": (2546, 8.507),
    "peer_gru_1789": (1789, 10.92),
    "peer_gru_3294": (3294, None),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_peers_have_the_published_sizes(name):
    parameters, speedup = PUBLISHED[name]
    model = build(ladder.RUNGS[name].config)
    assert count_parameters(model) == parameters
    if speedup:
        base = count_macs(build(ladder.RUNGS["base"].config))
        assert base / count_macs(model) == pytest.approx(speedup, abs=0.005)


def test_steps_reach_their_rates(tmp_path, tone_corpus):
    """Of the network's shape alone: bytes and MACs do not depend on training."""
    data = training_data(decode(tone_corpus), "low", SPLITS["published"](tone_corpus, "low"), views=0)

    def costs(name: str, storage: str = "float32", packed: bool = False) -> tuple[int, int]:
        model = fold_batch_norm(build(ladder.RUNGS[name].config).eval())
        save_model(tmp_path / "m.pt", model, provenance(data, 0, {}), storage, packed)
        return size_in_bytes(tmp_path / "m.pt"), count_macs(model)

    base = costs("base")
    forms = {"gru_small": (), "rnn": (), "rnn_fp16": ("float16", True), "beyond": ("int8", True)}
    for name, form in forms.items():
        least_compression, least_speedup, _, _ = report.BARS[name]
        size, macs = costs(name.removesuffix("_fp16"), *form)
        assert base[0] / size >= least_compression, name
        assert base[1] / macs >= least_speedup, name


def test_from_training_to_table(tone_corpus, tmp_path, monkeypatch):
    """Base, teacher and a student on both splits: saved, measured from the files alone, and the same from a second, cached run."""
    monkeypatch.chdir(tmp_path)
    clips = decode(tone_corpus)
    sets = {kind: training_data(clips, "low", make(clips.corpus, "low"), views=1) for kind, make in SPLITS.items()}
    settings = Settings(keyword="low", seeds=2, epochs=2, views=1, cache=str(tmp_path / "cache"))
    small = replace(ladder.TEACHER["teacher"], config=ladder.GRU_SMALL)
    monkeypatch.setitem(ladder.RUNGS, "teacher", small)
    ladder.fit({"base": ladder.BASE["base"], "teacher": small}, sets, settings, "tones-low")
    lessons = ladder.teach_all("tones-low", sets)
    for kind in sets:
        said = [teach(ladder.seed_path("tones-low", "teacher", kind, seed), sets[kind]).logits for seed in range(4)]
        assert torch.equal(lessons[kind, 1].logits, said[0])
        torch.testing.assert_close(lessons[kind, 4].logits, sum(said) / 4)
    runs = ladder.fit(ladder.pick("rnn", "beyond"), sets, settings, "tones-low", lessons)
    ladder.store_again("tones-low", sets, settings.seeds)
    names = ("base", "rnn", "rnn_fp16", "rnn_int8", "beyond")
    rows = report.measure(ladder.titles(*names), sets, "tones-low", settings.seeds)
    assert [row.name for row in rows] == list(names)
    assert rows[0].compression == rows[0].speedup == 1
    for row in rows[1:]:
        path = ladder.seed_path("tones-low", row.name, "published", 0)
        assert row.bytes == size_in_bytes(path)
        assert row.compression == rows[0].bytes / row.bytes
        p, y = judge_checkpoint(path, sets["published"])
        assert row.quality["published"].clips == len(y)
        assert load_provenance(path).metrics["test 1-AUC"] == one_minus_auc(p, y)
        assert not load_model(path).config.norm
    again = ladder.fit(ladder.pick("rnn"), sets, settings, "tones-low", lessons)
    assert again["rnn", "published", 1].history == runs["rnn", "published", 1].history
    for text in (
        report.cost_table(rows),
        report.quality_table(rows, "published"),
        report.quality_table(rows, "speaker-disjoint"),
    ):
        assert len(text.splitlines()) == len(names) + 2


def test_recipes_name_layers_that_exist():
    teacher = dict(build(ladder.RUNGS["teacher"].config).named_modules())
    for name, rung in ladder.RUNGS.items():
        if isinstance(rung.learns, DistillConfig) and rung.learns.layers:
            student = dict(build(rung.config).named_modules())
            for mine, other in rung.learns.pairs:
                assert mine in student, name
                assert other in teacher, name
