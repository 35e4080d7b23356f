"""The house: imports between rooms run one way, ``import kws`` loads the paper and kws.data only, and files stay small."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

KWS = ROOT / "kws"
FILES = sorted(KWS.rglob("*.py"))
STANDS_ON = {
    "data": set(),
    "voices": {"data"},
    "paper": {"data"},
    "scenes": {"data", "voices", "paper"},
    "streaming": {"data", "paper"},
    "research": {"data", "voices", "paper", "scenes", "streaming"},
    "report": {"data", "voices", "paper", "scenes", "streaming", "research"},
}
DOOR = KWS / "__main__.py"  # the command line: it opens the topmost room
ROOT_LINES, PAPER_FILE_LINES, FILE_LINES = 1600, 200, 250


def room_of(module: str) -> str:
    """The room of a module's dotted name, such as ``kws.data.audio``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in STANDS_ON else "paper"


def imports_of(path: Path) -> set[str]:
    """The modules of kws that a file imports, wherever in it, but those for types alone."""
    tree = ast.parse(path.read_text())
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            module = node.module or ""
            # ``from kws import report`` imports a room, ``from kws import load_model`` a name of the paper.
            rooms = [f"kws.{alias.name}" for alias in node.names if module == "kws" and alias.name in STANDS_ON]
            found |= set(rooms) or {module}
    return {name for name in found if name.split(".")[0] == "kws"}


@pytest.mark.parametrize("path", [f for f in FILES if f != DOOR], ids=lambda p: str(p.relative_to(KWS)))
def test_imports_run_one_way(path):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    room = room_of(name)
    for imported in imports_of(path):
        assert room_of(imported) in STANDS_ON[room] | {room}, f"{name} imports {imported}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(KWS)))
def test_recipes_are_not_imported(path):
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert not any(name.split(".")[0] == "recipes" for name in names)


def test_kws_loads_the_paper_and_its_data_only():
    script = "import sys, kws; [getattr(kws, name) for name in kws.__all__]; print(*[m for m in sys.modules if m.startswith('kws')])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {room_of(name) for name in done.stdout.split()} == {"paper", "data"}


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_files_are_small():
    paper = sorted(KWS.glob("*.py"))
    assert {str(p.relative_to(ROOT)): lines(p) for p in FILES if lines(p) > FILE_LINES} == {}
    assert {p.name: lines(p) for p in paper if lines(p) > PAPER_FILE_LINES} == {}
    assert sum(map(lines, paper)) <= ROOT_LINES


def test_the_paper_has_comments():
    rows = [line.strip() for path in KWS.glob("*.py") for line in path.read_text().splitlines()]
    assert sum(row.startswith("#") for row in rows) / len(rows) >= 0.04


def test_recipes_hold_no_procedure():
    """The file that lists the networks defines records and data; no loop, no training."""
    tree = ast.parse((KWS / "research" / "networks.py").read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert functions <= {"_tiny", "_published", "_searched", "titles"}
