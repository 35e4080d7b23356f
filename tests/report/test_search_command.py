"""``kws search``: its front, a trial run again, errors in one line, Ctrl-C; and optuna is loaded for it only."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import ROOT

import kws
from kws.model import CRNN
from kws.report.command import main
from kws.report.results import read
from kws.research.networks import BEYOND
from kws.streaming.model import load_stream


@pytest.fixture
def corpus(tone_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in {"JOBS": "1", "VIEWS": "1", "EPOCHS": "1", "CORPUS": str(tone_folder), "KEYWORD": "low"}.items():
        monkeypatch.setenv(f"KWS_{name}", value)
    return tone_folder


def test_a_search_shows_its_front_and_a_trial_can_be_run_again(corpus, capsys):
    assert main(["search", "--labels-only", "--trials", "2", "--csv", "trials.csv"]) == 0
    output = capsys.readouterr()
    written = read("trials.csv")
    assert [row["trial"] for row in written] == ["0", "1"]
    assert written[0]["macs_thop"] == str(kws.count_macs(CRNN(BEYOND)))
    assert written[1]["on_front"] == written[1]["finished"] == "yes"
    rows = re.findall(r"^ +(\d+) +(\S+) +([\d,]+) +([\d,]+)  (.*)$", output.out, flags=re.M)
    assert {row[0] for row in rows} <= {"0", "1"}
    assert "1" in {row[0] for row in rows}  # the cheapest is always on it
    assert "kept as" in output.out
    assert "sqlite:///runs/search.db" in output.out
    assert "2/2" in output.err
    assert main(["search", "--labels-only", "--rerun", "1"]) == 0
    assert ", as before; " in capsys.readouterr().out
    assert main(["search", "--labels-only", "--save", "1"]) == 0
    path = Path(capsys.readouterr().out.partition(": ")[0])
    model = kws.load_model(path)
    assert model.config.spectrum.rate == 8_000  # the cheapest
    assert 0 <= float(kws.keyword_probability(model, torch.zeros(1, 16_000))) <= 1
    stream = load_stream(path)
    assert abs(float(stream(torch.zeros(16_000))[-1] - kws.keyword_probability(model, torch.zeros(1, 16_000)))) < 1e-6
    assert main(["search", "--labels-only", "--rerun", "7"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("has no trial 7 that was trained")
    assert main(["search", "--labels-only", "--epochs", "2"]) == 2
    assert "is of another number of epochs (1, here 2)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--budget", "1000"], "the cheapest of the search space takes"),
        (["--storage", "nonsense"], "--storage nonsense: cannot be used"),
        (["--corpus", "none"], "no corpus 'none'"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(corpus, arguments, message, capsys):
    assert main(["search", *arguments]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert message in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["--trials", "0"], ["--minutes", "-1"], ["--epochs", "0"]])
def test_a_wrong_use_is_told(arguments, capsys):
    with pytest.raises(SystemExit):
        main(["search", *arguments])
    assert "must be more than 0" in capsys.readouterr().err


@pytest.mark.parametrize("jobs", ["2"])
def test_ctrl_c_keeps_what_is_finished(corpus, jobs, tmp_path):
    environment = {**os.environ, "KWS_JOBS": jobs, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "kws",
            "search",
            "--labels-only",
            "--trials",
            "1000",
            "--csv",
            str(tmp_path / "all.csv"),
        ],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    database = tmp_path / "runs" / "search.db"
    while not (database.exists() and b"error 2" in database.read_bytes()):  # a trial is at its last rung
        time.sleep(0.1)
        assert running.poll() is None
    time.sleep(1)
    running.send_signal(signal.SIGINT)
    out, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "stopped: finished trials are kept" in errors
    assert "Traceback" not in errors
    assert "multiplications a second" in out
    with open(tmp_path / "all.csv", newline="") as file:
        assert any(row["finished"] == "yes" for row in csv.DictReader(file))


def test_optuna_is_loaded_for_a_search_only():
    script = (
        "import sys, kws.report.search_command, kws.research, kws.report.command;"
        "assert not {'optuna', 'sqlalchemy'} & {m.split('.')[0] for m in sys.modules}"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
