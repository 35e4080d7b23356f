"""Every notebook runs from top to bottom on a tiny synthetic corpus, in a copy of the repository, and changes nothing published."""

import shutil

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient

NOTEBOOKS = sorted(path.name for path in ROOT.glob("*.ipynb"))
TINY = {
    "KWS_CORPUS": "synthetic",
    "KWS_KEYWORD": "marvin",
    "KWS_CLIPS": "240",
    "KWS_SEEDS": "1",
    "KWS_EPOCHS": "1",
    "KWS_VIEWS": "1",
    "KWS_SCENES": "128",
    "KWS_TALK": "",
    "KWS_VOICES": "",
    "KWS_SPEECH": "",
    "KWS_EMBEDDING": "",
}


@pytest.mark.timeout(1000)  # experiments.ipynb trains some forty small networks
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs(name, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "kws", tmp_path / "kws")
    shutil.copytree(ROOT / "weights" / "happy", tmp_path / "weights" / "happy")
    published = {path: path.read_bytes() for path in (tmp_path / "weights").rglob("*.*")}
    for variable, value in TINY.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.delenv("KWS_CACHE", raising=False)
    notebook = nbformat.read(ROOT / name, as_version=4)
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert {path: path.read_bytes() for path in published} == published
    assert list((tmp_path / "weights" / "synthetic-marvin").glob("*.pt"))
    assert list((tmp_path / "plots" / "synthetic-marvin").glob("*.png"))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_committed_notebook_was_run_in_one_go(name):
    notebook = nbformat.read(ROOT / name, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    assert all(
        line.split()[0] not in ("def", "class") for cell in code for line in cell.source.splitlines() if line.split()
    )
