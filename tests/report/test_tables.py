"""Tables as text: what a notebook shows of clips, of a study, and of streams."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kws.checkpoint import load_provenance, save_model
from kws.cost import size_in_bytes
from kws.evaluate import provenance
from kws.metrics import at_prevalence, one_minus_auc
from kws.model import CRNN
from kws.report import stream_tables, study_tables, tables
from kws.research.hearing import Equality, Saved
from kws.research.measured import Measured, Quality
from kws.research.networks import BASE, RNN, titles
from kws.research.paired import Paired
from kws.research.records import Record, write_record
from kws.research.ruler import Ruled
from kws.research.settings import Settings
from kws.research.stream_choice import Choice, Material
from kws.research.study import Study
from kws.research.whole_cost import WholeCost
from kws.streaming.scoring import Heard, WorkingPoint, working_points
from kws.targets import Targets

KINDS = ("published", "speaker-disjoint")


def judged(area: float) -> Quality:
    return Quality(3, 1000, 100, (area, area / 2, area * 2), area / 10)


def measured(name: str, area: float, rates: tuple[float, float] = (30.0, 40.0), kinds=KINDS) -> Measured:
    costs = (1789, 12_500, 7_156, 10_816, 10_700)
    whole = WholeCost(40_400, 349_212, 40_602, 38_885, 4_040, 660, 10_700, 7_156, 1_620, 1_600)
    found = {kind: judged(area) for kind in kinds}
    return Measured(name, titles(name)[name], *costs, *rates, found, whole, *(rate / 10 for rate in rates))


def lines(table: str) -> list[str]:
    """Of the rows below the heads."""
    return table.splitlines()[2:]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


ROWS = [measured("base", 0.001, (1.0, 1.0)), measured("rnn", 0.002), measured("beyond", 0.0005, kinds=KINDS[:1])]


def test_quality_is_against_the_base_on_the_same_split():
    found = lines(tables.quality_table(ROWS, "published"))
    assert [cells(line)[-1] for line in found] == ["1.00", "2.00", "0.50"]
    assert cells(found[1])[:3] == ["2: RNN", "3", "2.00e-03 [1.0e-03, 4.0e-03]"]
    at_ten_percent = f"{at_prevalence(0.002, 0.1):.2e}"
    assert cells(found[1])[3].startswith(at_ten_percent)
    assert [cells(line)[0] for line in lines(tables.quality_table(ROWS, "speaker-disjoint"))] == ["base", "2: RNN"]
    assert cells(lines(tables.quality_table(ROWS[1:], "published"))[0])[-1] == "2.0e-04"  # without a base no ratio


def test_a_base_without_any_error_is_no_measure():
    perfect = [measured("base", 0.0), measured("rnn", 0.002)]
    assert cells(lines(tables.quality_table(perfect, "published"))[1])[-1] == "2.0e-04"
    assert len(lines(tables.ladder_table(perfect))) == 2
    assert "nan times" in study_tables.mean_table(dict(zip(KINDS, (judged(0.0), judged(0.1)), strict=True)))


def test_the_ladder_has_a_column_for_each_kind_of_split():
    base, rnn, beyond = lines(tables.ladder_table(ROWS))
    assert cells(base)[-1] == "1.00"
    area = "{:.1e} [{:.1e}, {:.1e}]".format(*judged(0.002).at_speech_commands)
    assert cells(rnn)[-4:] == [area, "2.00", area, "2.00"]
    assert cells(beyond)[-1] == "0.50"
    # On one kind of split alone: in the column of that.
    other = replace(ROWS[2], quality={"speaker-disjoint": judged(0.0005)})
    assert lines(tables.ladder_table([ROWS[0], other]))[1].endswith("0.50")
    assert len(cells(lines(tables.ladder_table([ROWS[0], other]))[1])) == len(cells(beyond))
    assert len(lines(tables.compared_table(ROWS[:2]))) == 2


def test_a_whole_detector_is_told_by_its_parts():
    parts = ["349,212", "124,587", "10,700", "484,499"]
    assert cells(lines(tables.whole_table(ROWS[1:2]))[0]) == ["2: RNN", *parts, "4.00", "10,376", "3.0"]


def test_a_ruler_has_a_row_a_condition_and_a_column_a_network():
    rows = [
        Ruled(
            network,
            kind,
            condition,
            3,
            1000,
            100,
            0.01,
            0.02,
            Paired(ratio, ratio / 2, ratio * 2, 2e-3 * ratio, 2e-3, 50),
        )
        for kind in KINDS
        for condition in ("as recorded", "confusable words")
        for network, ratio in (("2: RNN", 1.2), ("beyond", 0.8))
    ]
    table = tables.ruler_table(rows, "published")
    assert cells(table.splitlines()[0]) == ["condition", "base's 1 - AUC", "2: RNN", "beyond"]
    ratios = ["2.0e-03", "1.20 [0.60, 2.40]", "0.80 [0.40, 1.60]"]
    assert [cells(line) for line in lines(table)] == [["as recorded", *ratios], ["confusable words", *ratios]]


@pytest.mark.parametrize(
    ("change", "held"),
    [
        ({}, "yes"),
        ({"compression": 7.6}, "no"),
        ({"speedup": 8.4}, "no"),
        ({"quality": {"published": judged(2)}}, "no"),
    ],
)
def test_a_bar_is_held_by_rates_and_quality_together(change, held):
    rows = [measured(name, 1e-6) for name in ("base", "gru_small", "rnn", "rnn_fp16", "beyond")]
    rows[2] = replace(rows[2], **change)
    found = [cells(line)[-1] for line in lines(tables.bars_table(rows, "published"))]
    assert found == ["yes", held, "yes", "yes"]


@pytest.fixture(scope="module")
def study(tone_folder, tmp_path_factory):
    """A study of which untrained networks of two seeds are there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("tables"))
        found = Study(Settings(str(tone_folder), "low", seeds=2, cache="cache"))
        torch.manual_seed(0)
        for name, config in (("base", BASE["base"].config), ("rnn", RNN)):
            for kind in KINDS:
                for seed in (0, 1):
                    about = provenance(found.sets[kind], seed, {"test 1-AUC": 0.25, "validation loss": 0.5})
                    save_model(found.path(name, kind, seed), CRNN(config), about)
        history = [{"epoch": 1, "seconds": 30.0}, {"epoch": 2, "seconds": 60.0}]
        write_record(found.path("base", "published", 1), Record("r", 2, history))
        yield found


def test_the_corpus_and_its_splits(study):
    assert "120 clips of 3 words by 20 speakers, 40 of them 'low'; 1 noises" in study_tables.corpus_line(study)
    found = [cells(line) for line in lines(study_tables.split_table(study))]
    assert [(row[0], row[1]) for row in found] == [(k, s) for k in KINDS for s in ("train", "validation", "test")]
    assert [sum(int(row[2]) for row in rows) for rows in (found[:3], found[3:])] == [120, 120]
    assert [row[4] for row in found[3:]] == ["100.0%", "0.0%", "0.0%"]
    assert found[0][5] == study.splits["published"].fingerprint[:12]


def test_the_mean_of_seeds(study):
    mean = study_tables.mean_quality(study, "base")
    areas = [one_minus_auc(*study.judged("base", "published", seed)) for seed in (0, 1)]
    assert mean["published"].one_minus_auc[0] == pytest.approx(np.mean(areas))
    ratio = mean["speaker-disjoint"].one_minus_auc[0] / mean["published"].one_minus_auc[0]
    assert f"1 - AUC is {ratio:.2f} times" in study_tables.mean_table(mean)


def test_noise_and_files(study):
    (line,) = lines(study_tables.noise_table(study, ["base", "rnn"]))
    assert cells(line)[:2] == ["hiss", "5"]
    assert all(share.endswith("%") for share in cells(line)[2:])
    path = study.hand_out("rnn")
    assert cells(lines(study_tables.files_table([path]))[0]) == [
        "rnn.pt",
        "CRNN",
        str(load_provenance(path).seed),
        f"{size_in_bytes(path):,}",
        "0.250000",
    ]


def test_layers_of_a_teacher_and_clips_to_look_at(study):
    targets = Targets(
        torch.empty(0), {"attention": torch.empty(3, 4, 1, 7)}, {"attention": torch.tensor([101.0])}, 40, "", ""
    )
    assert cells(lines(study_tables.targets_table(targets))[0]) == ["attention", "1", "7", "101 .. 101"]
    waveforms, log_mels, words = study_tables.shown_clips(study, 2, 3)
    assert (waveforms.shape, log_mels.shape) == ((5, 16_000), (5, 40, 101))
    assert [word == "low" for word in words] == [True, True, False, False, False]


POINT = WorkingPoint(0.25, 8, 2, 3, 1.5, 0.125)


def test_working_points_say_what_was_missed():
    heard = Heard(np.array([0.1, 0.9, 0.2]), [(0.0, 0.2)], 36.0)
    low, high = working_points([heard], 1_600, 3_200, thresholds=[0.5, 1.0])
    found = lines(stream_tables.points_table({"low": low, "high": high, "talk": replace(POINT, keywords=0, misses=0)}))
    assert "0 of 1" in found[0]
    assert "1 of 1" in found[1]
    assert cells(found[2])[:5] == ["talk", "0.2500", "0 of 0", "3", "1.50"]  # no rate of none, and no delay
    assert cells(lines(stream_tables.points_table({"x": POINT}))[0])[-1] == "0.12 s"
    assert "25.0% [" in stream_tables.points_table({"x": POINT})


def test_the_fewest_misses_at_so_many_false_alarms():
    curve = [replace(POINT, false_alarms=alarms, misses=misses) for alarms, misses in ((0, 5), (1, 3), (7, 1), (9, 0))]
    found = stream_tables.at_most({"base": curve})
    assert {name: point.misses for name, point in found.items()} == {
        "base, at most 0.5 per hour": 5,
        "base, at most 5 per hour": 1,
    }


def test_what_was_chosen_and_on_what():
    material = [Material("train", 1, 2, 3, 4.4, 5, 6.6)]
    seeds, thresholds = {"streaming_small": 1}, {"streaming_small": 0.75}
    choice = Choice(seeds, thresholds, [1000, 2000, 3000], material, {"scout, seed 0": [POINT, POINT]})
    assert cells(lines(stream_tables.material_table(choice))[0]) == ["train", "1", "2", "3", "4", "5", "7"]
    text = stream_tables.choice_lines(choice)
    assert "1,000 scenes at first, 2,000 with the mined ones, 3,000 for the students" in text
    assert f"{titles('streaming_small')['streaming_small']}: seed 1 goes on, with threshold 0.7500" in text


def test_equality_files_and_the_summary():
    equal = [Equality("streaming_base", "state carried on", 1e-7, 2e-7)]
    assert cells(lines(stream_tables.equality_table(equal, 12))[0])[1:] == ["state carried on", "1.0e-07", "2.0e-07"]
    saved = [Saved("streaming_base", 216_336, 70_000, 400_000, 3e-8)]
    assert cells(lines(stream_tables.saved_table(saved))[0])[1:] == ["216,336", "2.0", "70,000", "400,000", "3.0e-08"]
    talk = replace(POINT, keywords=0, misses=0, false_alarms=6)
    shipped = {("streaming_base", "10 dB"): POINT, ("streaming_base", "talk"): talk}
    found = [cells(x) for x in lines(stream_tables.summary_table(shipped, {"10 dB": POINT, "talk": talk}, ["10 dB"]))]
    assert [row[0] for row in found] == [titles("streaming_base")["streaming_base"], "two stages"]
    assert all(row[4].startswith("4.0 [") for row in found)  # six in an hour and a half of talk
