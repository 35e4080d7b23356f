"""Tables as CSV files: the digits that are committed, whole files, and every changed digit is found."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import ROOT, WEIGHTS

from kws.checkpoint import load_model, stored_tensors
from kws.data.corpus import folder_corpus
from kws.report import results
from kws.report.timing import Latency
from kws.research.measured import Measured, Quality
from kws.research.networks import titles
from kws.research.paired import Paired
from kws.research.records import Record, write_record
from kws.research.ruler import Ruled
from kws.research.whole_cost import WholeCost, whole_cost
from kws.split import SPLITS
from kws.targets import Targets

COMMITTED = ROOT / "docs" / "results"
GOOD = Quality(3, 1828, 312, (2.6149e-4, 4.234e-5, 6.236e-4), 1.76e-4)
WHOLE = WholeCost(40_400, 349_212, 40_602, 38_885, 4_040, 0, 423_520, 101_548, 1_620, 1_600)
ONE_SEED = Quality(1, 1828, 312, (1e-3, 1e-4, 2e-3), float("nan"))


def measured(name: str, bytes_: int = 106_675, macs: int = 432_672, **quality: Quality) -> Measured:
    by_kind = {kind.replace("_", "-"): q for kind, q in quality.items()}
    costs = (25_387, bytes_, 101_548, macs, 423_520, 106_675 / bytes_, 432_672 / macs)
    return Measured(name, name.title(), *costs, by_kind, WHOLE, 1.0, 1.0)


def cells(rows: list[dict], *columns: str) -> list[str]:
    """What a CSV file holds of rows, all columns or some, a line a row."""
    return [",".join(str(row[column]) for column in columns or row) for row in rows]


def study(**parts) -> SimpleNamespace:
    return SimpleNamespace(settings=SimpleNamespace(publish=False), **parts)


def test_a_table_is_written_and_read_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        {"network": "3: float16, not packed", "clips": 5, "share": "0.10"},
        {"network": "base", "clips": 6, "share": ""},
    ]
    path = results.write(study(), "some", rows)
    assert str(path) == "build/results/some.csv"
    assert path.read_bytes() == b'network,clips,share\n"3: float16, not packed",5,0.10\nbase,6,\n'
    assert results.read(path) == [{column: str(value) for column, value in row.items()} for row in rows]


def test_only_publishing_writes_to_the_committed_tables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    published = SimpleNamespace(settings=SimpleNamespace(publish=True))
    assert str(results.write(published, "some", [{"a": 1}])) == "docs/results/some.csv"


def test_rows_of_two_shapes_are_refused_and_leave_the_file_as_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = results.write(study(), "some", [{"a": 1}])
    with pytest.raises(ValueError, match="some: all rows must have the columns a, b"):
        results.write(study(), "some", [{"a": 1, "b": 2}, {"a": 1}])
    assert path.read_text() == "a\n1\n"


@pytest.fixture
def folders(tmp_path):
    """Two folders of the same tables."""
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "cost.csv").write_text("network,bytes\nbase,106675\nbeyond,3429\n")
        (tmp_path / folder / "latency.csv").write_text("network,ms,times_as_fast\nbase,0.417,1.0\n")
        (tmp_path / folder / "memory.csv").write_text("clips\n9140\n")
    return tmp_path / "old", tmp_path / "new"


def test_equal_tables_do_not_differ_nor_do_timings_and_tables_that_no_notebook_writes(folders):
    old, new = folders
    (new / "latency.csv").write_text("network,ms,times_as_fast\nbase,0.211,2.0\n")
    (new / "memory.csv").unlink()
    assert results.differences(old, new) == []


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("cost", "network,bytes\nbase,106675\nbeyond,3428\n", "cost.csv, row 2, bytes: '3429', now '3428'"),
        ("cost", "network,bytes\nbase,106675\nsmallest,3429\n", "cost.csv, row 2, network: 'beyond', now 'smallest'"),
        ("cost", "network,bytes\nbase,106675\n", "cost.csv: 2 rows, now 1"),
        ("latency", "network,ms,times_as_fast\nrnn,0.4,1.0\n", "latency.csv, row 1, network: 'base', now 'rnn'"),
        ("other", "a\n1\n", "{old}/other.csv: there is no such file"),
    ],
)
def test_a_changed_cell_row_or_file_is_found(folders, name, text, found):
    old, new = folders
    (new / f"{name}.csv").write_text(text)
    assert results.differences(old, new) == [found.format(old=old)]


def test_a_column_that_is_gone_is_found(folders):
    old, new = folders
    (new / "cost.csv").write_text("network\nbase\nbeyond\n")
    assert results.differences(old, new)[0] == "cost.csv, row 1, bytes: '106675', now 'no such column'"


def test_the_command_says_so_and_fails_where_tables_differ(folders, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["results", *map(str, folders)])
    for text, status, said in (("base", 0, "no differences\n"), ("Base", 1, "row 1, network: 'base', now 'Base'\n")):
        (folders[1] / "cost.csv").write_text(f"network,bytes\n{text},106675\nbeyond,3429\n")
        with pytest.raises(SystemExit) as end:
            results.main()
        assert end.value.code == status
        assert capsys.readouterr().out.endswith(said)


def test_the_split_of_the_real_recordings_is_the_committed_one(real_folder):
    corpus = folder_corpus(real_folder, "speech_commands")
    splits = {kind: make(corpus, "happy", 0) for kind, make in SPLITS.items()}
    rows = results.split(study(corpus=corpus, keyword="happy", splits=splits))
    assert cells(rows) == cells(results.read(COMMITTED / "split.csv"))


@pytest.mark.parametrize(("table", "make"), [("base_files", results.base_files), ("files", results.files)])
def test_the_committed_files_are_those_of_the_tables(table, make):
    committed = results.read(COMMITTED / f"{table}.csv")
    assert cells(make([WEIGHTS / row["file"] for row in committed])) == cells(committed)


def test_each_seed_of_a_network(tmp_path):
    p, y = np.array([0.9, 0.4, 0.6, 0.1]), np.array([1, 1, 0, 0])
    write_record(tmp_path / "base-published-0.pt", Record("", 41, [{"loss": 0.1}]))
    found = study(
        seeds=lambda name: range(2),
        judged=lambda name, kind, seed: (p, y),
        path=lambda name, kind, seed: tmp_path / f"{name}-{kind}-{seed}.pt",
    )
    # One of four pairs is the wrong way round: 1 - AUC is 1/4, and half of the clips of each kind are judged wrongly.
    prefix = "6.25e-02,0.250000,6.47e-03,50.00"
    assert cells(results.base_by_seed(found)) == [
        f"published,0,{prefix},41",
        f"published,1,{prefix},",
        f"speaker-disjoint,0,{prefix},",
        f"speaker-disjoint,1,{prefix},",
    ]


def test_the_mean_over_the_seeds():
    rows = results.base({"published": GOOD, "speaker-disjoint": ONE_SEED})
    assert list(rows[0]) == list(results.read(COMMITTED / "base.csv")[0])
    columns = ("split", "seeds", "clips", "keyword_clips", "one_minus_auc", "one_minus_auc_low", "one_minus_auc_high")
    assert cells(rows, *columns, "spread_of_seeds") == [
        "published,3,1828,312,2.61e-04,4.23e-05,6.24e-04,0.00018",
        "speaker-disjoint,1,1828,312,1.00e-03,1.00e-04,2.00e-03,",
    ]


def test_cost_is_printed_as_committed():
    rows = results.cost([measured("base")])
    assert list(rows[0]) == list(results.read(COMMITTED / "cost.csv")[0])
    network, whole = "Base,25387,106675,101548,432672,423520,1.000,1.000,0.700", "473139,896659,104768,1.000,1.000"
    assert cells(rows) == [f"{network},{whole}"]


def test_the_cost_of_the_committed_networks_is_the_committed_one():
    """Of whole detectors, and so of what they are made of."""
    committed = {row["network"]: row for row in results.read(COMMITTED / "cost.csv")}
    paths = {
        name: WEIGHTS / "seeds" / f"{name}-published-0.pt" for name in ("base", "rnn_int8", "beyond", "tc_resnet8")
    }
    for name, title in titles(*paths).items():
        values = sum(tensor.numel() * tensor.element_size() for tensor in stored_tensors(paths[name]).values())
        whole = whole_cost(load_model(paths[name]), values)
        found = (whole.front_end, whole.multiplications, whole.bytes)
        columns = ("multiplications_front_end", "multiplications_all_in", "bytes_all_in")
        assert found == tuple(int(committed[title][column]) for column in columns)


def test_a_ruler_is_printed_as_committed():
    ruled = Ruled(
        "beyond",
        "published",
        "as recorded",
        3,
        1828,
        312,
        0.0125,
        0.01,
        Paired(0.8571, 0.2, 1.5, 2.24e-4, 2.6149e-4, 1074),
    )
    rows = results.ruler([ruled])
    assert list(rows[0]) == list(results.read(COMMITTED / "ruler.csv")[0])
    counts = "beyond,published,as recorded,3,1828,312,1074"
    assert cells(rows) == [f"{counts},2.24e-04,2.61e-04,0.857,0.200,1.500,1.25,1.00"]


def test_quality_is_split_by_split_and_against_the_base():
    half = Quality(3, 1828, 312, (GOOD.one_minus_auc[0] / 2, 1e-6, 2e-3), 1.1e-5)
    base = measured("base", published=GOOD, speaker_disjoint=ONE_SEED)
    one, both = measured("one", published=half), measured("both", published=half, speaker_disjoint=GOOD)
    rows = results.quality([base, one, both])
    assert list(rows[0]) == list(results.read(COMMITTED / "quality.csv")[0])
    assert cells(rows, "network", "split", "condition", "times_base") == [
        "Base,published,as recorded,1.00",
        "One,published,as recorded,0.50",
        "Both,published,as recorded,0.50",
        "Base,speaker-disjoint,as recorded,1.00",
        "Both,speaker-disjoint,as recorded,0.26",
    ]
    assert cells(rows[:1])[0].endswith(
        "2.61e-04,4.2e-05,6.2e-04,3.70e-05,6.0e-06,8.8e-05,6.76e-06,1.1e-06,1.6e-05,1.8e-04,1.00"
    )
    assert cells(results.quality([one], base=[base])) == cells(rows[1:2])
    assert results.quality([one])[0]["times_base"] == ""


def test_controls_are_as_recorded_then_in_noise():
    base, one = (measured(name, published=GOOD, speaker_disjoint=GOOD) for name in ("base", "one"))
    assert cells(results.controls([base, one], [one], 5.0), "network", "split", "condition", "times_base") == [
        "Base,published,as recorded,1.00",
        "One,published,as recorded,1.00",
        "One,published,noise at 5 dB SNR,",
        "Base,speaker-disjoint,as recorded,1.00",
        "One,speaker-disjoint,as recorded,1.00",
        "One,speaker-disjoint,noise at 5 dB SNR,",
    ]


def test_a_bar_is_held_by_all_of_its_rates_and_its_quality():
    rows = [measured("base", published=GOOD), measured("gru_small", 40_499, 169_735, published=GOOD)]
    rows += [measured("rnn", 13_241, 60_000, published=GOOD), measured("rnn_fp16", 5_801, 43_300, published=ONE_SEED)]
    rows += [measured("beyond", 3_429, 16_981, published=GOOD)]
    found = results.bars(rows)
    assert cells(found)[0] == "Gru_Small,2.634,2.578,2.549,2.059,6.76e-06,7.44e-06,1.814,yes"
    assert [row["held"] for row in found] == ["yes", "no", "no", "yes"]
    assert cells(found[3:], "compression_least", "speed_up_least") == ["25.0,25.0"]


@pytest.mark.parametrize(
    ("names", "kinds", "column", "values"),
    [
        (["base"], ("published", "speaker-disjoint"), "split", ["published", "speaker-disjoint"]),
        (["base", "tc_resnet8"], ("published",), "network", ["base", "TC-ResNet8"]),
    ],
)
def test_noise_alone_names_what_there_are_several_of(tone_corpus, names, kinds, column, values):
    sure = lambda log_mel: torch.tensor([[-9.0, 9.0]]).expand(len(log_mel), 2)  # noqa: E731
    unsure = lambda log_mel: -sure(log_mel)  # noqa: E731
    models = iter([torch.nn.Module(), torch.nn.Module()])

    def model(name, kind):
        found = next(models)
        found.forward = sure if (name, kind) == (names[0], kinds[0]) else unsure
        return found

    rows = results.noise_alone(study(corpus=tone_corpus, model=model), names, kinds)
    assert cells(rows) == [f"hiss,5,{values[0]},0,100.0", f"hiss,5,{values[1]},0,0.0"]
    assert list(rows[0]) == ["noise", "seconds", column, "seed", "fire_percent"]


def test_layers_latency_and_time():
    targets = Targets(
        torch.zeros(1), {"attention": torch.zeros(2, 3, 1, 64)}, {"attention": torch.tensor([101.0])}, 40, "", ""
    )
    assert cells(results.teacher_layers(targets)) == ["attention,1,64,101,101"]
    times = [("base", False, 0.417), ("rnn", False, 0.225), ("base", True, 0.6), ("rnn", True, 0.3)]
    rows = results.latency([Latency(name, "eager", 1, front, ms) for name, front, ms in times])
    assert cells(rows[1:]) == [
        "1,no,2: RNN,eager,0.225,1.9",
        "1,yes,base,eager,0.600,1.0",
        "1,yes,2: RNN,eager,0.300,2.0",
    ]
