"""A package of Debian's is unpacked and checked; two scripts stand in for apt-get and dpkg-deb."""

import hashlib
import os
from pathlib import Path

import pytest

from kws.voices import fetch as recipe
from kws.voices.fetch import FetchError, NotReached, fetch, set_up
from kws.voices.packages import COLLECTIONS, Collection, Wanted

LINES = b"spoken lines"
UNKNOWN = "echo 'E: Unable to locate package game' >&2; exit 100"
DOWNLOAD = "for name; do :; done; echo deb > ${name}_1.0_all.deb"
KNOWS_AFTER_UPDATE = f"""
for word; do case $word in Dir::State::Lists=*) lists=${{word#*=}};; esac; done
case "$*" in *update) touch $lists/known;; *) if [ -e "$lists/known" ]; then {DOWNLOAD}; else {UNKNOWN}; fi;; esac
"""
UNPACK = "mkdir -p $3/usr/share && printf 'spoken lines' > $3/usr/share/lines.1c"


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Write the scripts: what ``apt-get`` and ``dpkg-deb`` do. Both see their calls in ``calls``."""
    folder, root = tmp_path / "bin", tmp_path / "root"
    folder.mkdir()
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    wanted = Wanted("lines.1c", hashlib.sha256(LINES).hexdigest(), ("usr/share/lines.1c",))
    monkeypatch.setitem(COLLECTIONS, "lines", Collection((), 1, (wanted,), "there is talk alone", debian="game"))

    def write(**scripts: str) -> Path:
        for name, script in scripts.items():
            path = folder / name.replace("_", "-")
            path.write_text(f'#!/bin/sh\necho "$0 $@" >> {tmp_path}/calls\n{script}\n')
            path.chmod(0o755)
        return tmp_path / "calls"

    return write


def test_it_is_unpacked_checked_and_fetched_once(programs, capsys):
    calls = programs(apt_get=DOWNLOAD, dpkg_deb=UNPACK)
    assert (fetch("lines") / "lines.1c").read_bytes() == LINES
    assert [p.name for p in Path("lines").iterdir()] == ["lines.1c"]
    assert "fetching 1 MB with apt-get" in capsys.readouterr().out
    before = calls.read_text()
    fetch("lines")
    assert calls.read_text() == before
    assert "update" not in before


def test_without_a_list_of_packages_one_is_fetched_for_this_time(programs):
    calls = programs(apt_get=KNOWS_AFTER_UPDATE, dpkg_deb=UNPACK)
    fetch("lines")
    said = [line.split()[-1] for line in calls.read_text().splitlines()]
    assert said == ["game", "update", "game", "unpacked"]
    assert [p.name for p in Path("lines").iterdir()] == ["lines.1c"]
    # The lists lie in a folder of ours: apt-get takes a path that is not absolute for one below the system's.
    update = calls.read_text().splitlines()[1].split()
    lists = next(Path(word.split("=")[1]) for word in update if word.startswith("Dir::State::Lists="))
    assert lists.is_relative_to(Path.cwd())


def test_an_update_that_fails_for_one_source_may_do_for_another(programs):
    failing = "touch $lists/known; echo 'E: not signed' >&2; exit 100"
    programs(apt_get=KNOWS_AFTER_UPDATE.replace("touch $lists/known", failing), dpkg_deb=UNPACK)
    fetch("lines")
    assert Path("lines/lines.1c").is_file()


@pytest.mark.parametrize(
    ("apt_get", "message"),
    [
        (UNKNOWN, "Unable to locate package game: there is talk alone; run make lines later"),
        ("echo 'E: Failed to fetch x  Could not resolve' >&2; exit 100", "Could not resolve: there is talk alone"),
        ("echo 'E: List directory is missing. - Acquire (13: Permission denied)' >&2; exit 100", "Permission denied"),
        (f'case "$*" in *update) ;; *) {UNKNOWN};; esac', "Unable to locate package game"),
    ],
)
def test_the_setup_goes_on_without_what_cannot_be_had(programs, capsys, apt_get, message):
    programs(apt_get=apt_get, dpkg_deb=UNPACK)
    assert set_up(["lines"]) == []
    assert message in capsys.readouterr().out
    assert not Path("lines").exists()


def test_where_there_is_no_apt_get(programs, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NotReached, match="there is no apt-get here: there is talk alone"):
        fetch("lines")


def test_another_file_and_a_damaged_package_are_refused(programs):
    programs(apt_get=DOWNLOAD, dpkg_deb=UNPACK.replace("spoken", "other"))
    assert set_up(["lines"]) == []  # another release may have another file
    with pytest.raises(FetchError, match=r"lines.1c: its SHA-256 is"):
        fetch("lines")
    programs(dpkg_deb="echo 'dpkg-deb: error: not a package' >&2; exit 2")
    with pytest.raises(FetchError, match="dpkg-deb failed: dpkg-deb: error: not a package"):
        fetch("lines")
    assert not Path("lines").exists()


def test_a_full_disk_is_said(programs):
    programs(apt_get='echo "E: You don\'t have enough free space in here" >&2; exit 100', dpkg_deb=UNPACK)
    with pytest.raises(FetchError, match="is the disk full"):
        recipe.fetch("lines")
