"""``kws time``: a row for each file, in the table that fits it."""

import os
from pathlib import Path

import pytest
import torch
from conftest import WEIGHTS, sound

import kws
from kws.report import timing
from kws.report.command import main
from kws.report.timing import CHUNKS, RUNTIMES, measure, measure_streams, open_stream, row_names, streams_table, table
from kws.streaming import largest_difference, save_stream, streaming_model
from kws.streaming.onnx_export import save_onnx_stream


def test_latency_covers_every_case_and_the_first_model_is_the_measure():
    models = {name: kws.load_model(WEIGHTS / f"{name}.pt") for name in ("base_model", "rnn")}
    latencies = measure(models, batches=(1, 2), seconds=0.1)
    assert {(t.model, t.runtime, t.batch, t.front_end) for t in latencies} == {
        (model, runtime, batch, front_end)
        for model in models
        for runtime in RUNTIMES
        for batch in (1, 2)
        for front_end in (False, True)
        if not (front_end and runtime == "eager float16")
    }
    assert all(t.milliseconds > 0 for t in latencies)
    text = table(latencies, 1, False)
    assert [line.split()[0] for line in text.splitlines()[2:]] == ["base_model", "rnn"]
    assert text.splitlines()[2].count("(1.0)") == len(RUNTIMES)


def test_every_stream_is_measured_and_hears_the_same(tmp_path):
    model = streaming_model(WEIGHTS / "beyond.pt")
    save_onnx_stream(model, tmp_path / "m.onnx")
    save_stream(model, tmp_path / "m.pt")
    costs = measure_streams({path: open_stream(tmp_path / path) for path in ("m.onnx", "m.pt")}, rounds=2, seconds=1)
    assert {(c.stream, c.chunk) for c in costs} == {(name, chunk) for name in ("m.onnx", "m.pt") for chunk in CHUNKS}
    assert all(c.milliseconds > 0 for c in costs)
    assert [line.split()[0] for line in streams_table(costs).splitlines()[2:]] == ["m.onnx", "m.pt"]
    assert largest_difference(model, sound(30_000), 20) <= 1e-5


def test_threads_are_as_before():
    threads = torch.get_num_threads()

    def fail(_):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        measure_streams({"bad": fail}, rounds=1)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["w/rnn.pt"], ["rnn"]),
        (["w/rnn.pt", "w/base.pt"], ["rnn", "base"]),
        (["a/m.pt", "b/m.pt"], ["a/m", "b/m"]),
        (["a/m.pt", "b/m.pt", "b/n.pt"], ["a/m", "b/m", "n"]),
        (["a/m.pt", "a/m.onnx"], ["m.pt", "m.onnx"]),
        (["a/m.pt", "a/m.onnx", "b/m.pt"], ["a/m.pt", "m.onnx", "b/m"]),
        (["x/s/m.pt", "y/s/m.pt"], ["x/s/m", "y/s/m"]),
        (["a/m.pt", "./a/m.pt"], ["m"]),
        (["/m.pt", "/a/m.pt"], ["/m", "a/m"]),
    ],
)
def test_rows_have_the_shortest_names_that_differ(paths, names):
    assert list(row_names(paths).values()) == names


def test_files_of_one_name_have_a_row_each(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(timing, "measure", lambda models, seconds: measure(models, (1, 2), 0.01))
    monkeypatch.setattr(timing, "measure_streams", lambda streams: measure_streams(streams, 1, 1))
    for folder, name in (("a", "rnn"), ("b", "beyond")):
        (tmp_path / folder).mkdir()
        os.symlink(WEIGHTS / f"{name}.pt", tmp_path / folder / "m.pt")
    files = [str(tmp_path / folder / "m.pt") for folder in "ab"]
    streams = [str(WEIGHTS / f"streaming_small.{suffix}") for suffix in ("pt", "onnx")]
    assert main(["time", *files, *streams, "--cuttings", "2"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert [line.split()[0] for line in lines if line.startswith(("a/", "b/"))] == ["a/m", "b/m"] * 4
    assert [line.split()[0] for line in lines[-3:]] == [
        "streaming_small.pt",
        "streaming_small.onnx",
        "streaming_small.pt:",
    ]
    assert "2 cuttings" in lines[-1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.pt", "there is no such file"),
        ("none.onnx", "there is no such file"),
        ("folder", "a folder, not a file"),
        ("folder.onnx", "a folder, not a file"),
        ("pipe", "a pipe or a device, not a file"),
        ("text.pt", "not a PyTorch file"),
        ("text.onnx", "not an ONNX stream"),
        ("file/m.pt", "there is no such file"),
        (str(WEIGHTS / "seeds" / "embedding_teacher-speaker-disjoint-0.pt"), "takes no log-mel"),
    ],
)
def test_a_file_that_cannot_be_timed_is_named(tmp_path, capsys, name, message):
    for folder in ("folder", "folder.onnx"):
        (tmp_path / folder).mkdir()
    for file in ("text.pt", "text.onnx", "file"):
        (tmp_path / file).write_text("no model")
    os.mkfifo(tmp_path / "pipe")
    assert main(["time", str(WEIGHTS / "rnn.pt"), str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert Path(name).name in error
    assert message in error


@pytest.mark.parametrize(
    "option", [["--seconds", "0"], ["--seconds", "nan"], ["--seconds", "inf"], ["--cuttings", "-1"]]
)
def test_wrong_options_are_told(option, capsys):
    with pytest.raises(SystemExit) as end:
        main(["time", str(WEIGHTS / "rnn.pt"), *option])
    assert end.value.code == 2
    assert option[0] in capsys.readouterr().err
