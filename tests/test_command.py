"""``kws`` and ``python -m kws``: sub-commands, errors and Ctrl-C as any command line has them."""

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from importlib import import_module

import pytest
from conftest import ROOT, WEIGHTS

import kws
from kws.report.command import COMMANDS, main

MODEL = str(WEIGHTS / "streaming_small.pt")


def command(*arguments: str, **options) -> subprocess.Popen:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([sys.executable, "-m", "kws", *arguments], cwd=ROOT, text=True, **pipes | options)


def shell(line: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHON": sys.executable, "MODEL": MODEL}
    return subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, env=environment)


def test_the_project_names_the_command_and_the_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    module, function = project["project"]["scripts"]["kws"].split(":")
    assert callable(getattr(import_module(module), function))
    assert project["tool"]["setuptools"]["dynamic"]["version"]["attr"] == "kws.__version__"
    assert re.fullmatch(r"\d+\.\d+\.\d+", kws.__version__)


def test_what_runs_is_a_dependency_and_no_more():
    """requirements.txt, the pinned set, holds every runtime dependency."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.match(r"[\w-]+", line)[0] for line in project["dependencies"]}
    pinned = {line.split("==")[0] for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line}
    assert names <= pinned
    assert not names & {"jupyter", "pytest", "ruff", "matplotlib", "nbclient", "nbconvert"}


def test_the_package_imports_nothing_until_it_is_asked():
    program = (
        "import sys, kws; assert 'torch' not in sys.modules; kws.read_audio; assert set(kws.__all__) <= set(dir(kws))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
    with pytest.raises(AttributeError, match="nothing"):
        kws.nothing  # noqa: B018


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tells_its_use(name, capsys):
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: kws {name}")


@pytest.mark.parametrize("arguments", [[], ["sing"], ["listen"], ["time", "--rounds"]])
def test_a_wrong_use_is_told(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: kws" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["listen", "{folder}/none.pt", "a.wav"],
        ["listen", "{folder}", "a.wav"],
        ["time", "{folder}/none.pt"],
        ["manifest", "write", "{folder}/none", "m.csv"],
        ["manifest", "rebuild", "{folder}/none.csv", "{folder}/new", "{folder}"],
        ["download", "{folder}/file/below"],
    ],
)
def test_an_error_is_one_line_and_status_2(arguments, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    assert main([argument.format(folder=tmp_path) for argument in arguments]) == 2
    output = capsys.readouterr()
    assert output.err.startswith("error: ")
    assert str(tmp_path) in output.err
    assert len(output.err.splitlines()) == 1


@pytest.mark.parametrize("seconds", [0.15, 0.5, 1.5])
@pytest.mark.parametrize("arguments", [["listen", MODEL, "-"], ["time", str(WEIGHTS / "rnn.pt"), "--seconds", "60"]])
def test_ctrl_c_ends_without_a_traceback(arguments, seconds):
    """At any moment: while it imports, and when it runs."""
    running = command(*arguments)
    time.sleep(seconds)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert "Traceback" not in errors
    assert "KeyboardInterrupt" not in errors
    assert running.returncode == 130


def test_ctrl_c_amid_an_exec_has_the_same_status(tmp_path):
    """Python ends a module by the signal when a KeyboardInterrupt ever passed an ``exec`` of text, caught or not."""
    (tmp_path / "interrupted.py").write_text("""
import sys
from kws.report import command
def main(*_):
    exec("raise KeyboardInterrupt")
command.COMMANDS["time"] = ("interrupted", "")
sys.modules["interrupted"] = sys.modules["__main__"]
sys.argv[1:] = ["time"]
command.run()
""")
    ended = subprocess.run(
        [sys.executable, "-m", "interrupted"], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(tmp_path)}
    )
    assert ended.returncode == 130


def test_closed_streams_are_no_error_but_where_one_is_read():
    sound = "import sys; sys.stdout.buffer.write(bytes(64_000))"
    heard = f'"$PYTHON" -c \'{sound}\' | "$PYTHON" -m kws listen "$MODEL" - --threshold 0'
    assert len(shell(heard).stdout.splitlines()) == 3
    without_errors = shell(f"{heard} 2>&-")
    assert (without_errors.returncode, len(without_errors.stdout.splitlines())) == (0, 3)
    without_output = shell(f"{heard} >&-")
    assert (without_output.returncode, without_output.stderr) == (0, "")
    without_input = shell('"$PYTHON" -m kws listen "$MODEL" - <&-')
    assert without_input.returncode == 2
    assert without_input.stderr.startswith("error: standard input is closed")


def test_whoever_reads_may_stop_reading_and_a_full_disk_is_told():
    noise = "import sys, random; sys.stdout.buffer.write(random.randbytes(640_000))"
    heard = f'"$PYTHON" -c \'{noise}\' | "$PYTHON" -m kws listen "$MODEL" - --threshold 0'
    short = shell(f"set -o pipefail; {heard} | head -n 1")
    assert (short.returncode, len(short.stdout.splitlines()), short.stderr) == (0, 1, "")
    if os.path.exists("/dev/full"):
        full = shell(f"{heard} > /dev/full")
        assert (full.returncode, full.stderr) == (2, "error: [Errno 28] No space left on device\n")
