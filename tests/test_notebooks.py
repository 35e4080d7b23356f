"""Every notebook runs from top to bottom on a tiny synthetic corpus, in a copy of the repository, and again without training.

The second run loads what the first one saved, and must print every number again, but for timings.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient

NOTEBOOKS = ["train_base_model.ipynb", "experiments.ipynb", "streaming.ipynb"]
TINY = {
    "KWS_CORPUS": "synthetic",
    "KWS_KEYWORD": "marvin",
    "KWS_CLIPS": "240",
    "KWS_SEEDS": "1",
    "KWS_EPOCHS": "1",
    "KWS_VIEWS": "1",
    "KWS_EFFORT": "tiny",
}
TIMED = ("timing.",)  # cells that say how long something took
LONGEST_CELL, WIDEST_LINE = 8, 100


def cells_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell: nbformat.NotebookNode) -> str:
    """What a cell printed, without progress bars, which go to standard error."""
    return "".join(out.text for out in cell.outputs if out.output_type == "stream" and out.name == "stdout")


def run(name: str, folder: Path, report: bool, monkeypatch) -> nbformat.NotebookNode:
    """Execute a notebook in a folder with the tiny settings."""
    for variable, value in (TINY | {"KWS_REPORT": str(int(report))}).items():
        monkeypatch.setenv(variable, value)
    notebook = nbformat.read(ROOT / name, as_version=4)
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Iterator[Path]:
    """The repository as the notebooks need it."""
    folder = tmp_path_factory.mktemp("repository")
    for part in ("kws", "docs", "weights/happy", "weights/ears"):
        shutil.copytree(ROOT / part, folder / part)
    return folder


@pytest.mark.timeout(1500)  # experiments.ipynb trains some forty small networks
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_and_prints_the_same_without_training(name, copy, monkeypatch):
    for variable in ("CACHE", "TALK", "VOICES", "SPEECH", "EMBEDDING", "PUBLISH", "ANEW", "SPLIT_SEED"):
        monkeypatch.delenv(f"KWS_{variable}", raising=False)
    committed = {path: path.read_bytes() for path in (copy / "weights" / "happy").rglob("*.*")}
    trained = run(name, copy, False, monkeypatch)
    saved = {path: path.read_bytes() for path in (copy / "weights" / "synthetic-marvin").rglob("*.*")}
    assert saved
    shutil.rmtree(copy / ".cache" / "runs")  # no state of a training helps the second run
    reported = run(name, copy, True, monkeypatch)
    assert {path: path.read_bytes() for path in saved} == saved
    assert {path: path.read_bytes() for path in committed} == committed
    for first, second in zip(cells_of(trained), cells_of(reported), strict=True):
        if ".fit" not in first.source and not any(word in first.source for word in TIMED):
            assert printed(first) == printed(second), first.source
    assert list((copy / "plots" / "synthetic-marvin").glob("*.png"))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_committed_notebook_was_run_in_one_go(name):
    code = cells_of(nbformat.read(ROOT / name, as_version=4))
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_cells_are_short_and_define_nothing(name):
    for cell in cells_of(nbformat.read(ROOT / name, as_version=4)):
        lines = cell.source.splitlines()
        assert len(lines) <= LONGEST_CELL, cell.source
        assert max(map(len, lines)) <= WIDEST_LINE, cell.source
        assert not any(line.split()[0] in ("def", "class") for line in lines if line.split())
