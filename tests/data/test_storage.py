"""Files and folders appear whole or not at all, whatever other processes do at the same time."""

import errno
import multiprocessing
import os
import re
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from kws.data import storage
from kws.data.locks import one_at_a_time
from kws.data.storage import file_state, new_folder, replacing, save_flac
from kws.data.torch_files import cached


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "new" / "target"
    with new_folder(target) as folder:
        (folder / "a").write_text("1")
        assert not target.exists()
    assert (target / "a").read_text() == "1"
    with suppress(KeyboardInterrupt), new_folder(tmp_path / "new" / "other") as folder:
        (folder / "a").write_text("1")
        raise KeyboardInterrupt
    assert names(tmp_path / "new") == ["target"]


def test_a_full_disk_names_the_file(tmp_path):
    (tmp_path / "a").write_text("before")
    with (
        pytest.raises(OSError, match=re.escape(f"No space left on device: '{tmp_path / 'a'}'")),
        replacing(tmp_path / "a"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert (tmp_path / "a").read_text() == "before"
    assert names(tmp_path) == ["a"]
    own = FileNotFoundError("an error of its own")
    with pytest.raises(FileNotFoundError) as raised, replacing(tmp_path / "a"):
        raise own
    assert raised.value is own


def test_of_two_that_make_a_folder_at_once_one_stays_whole(tmp_path):
    """The second starts when the first has half, and is done before it."""
    with new_folder(tmp_path / "target") as first:
        (first / "a").write_text("first")
        with new_folder(tmp_path / "target") as second:
            for name in "ab":
                (second / name).write_text("second")
        assert (first / "a").read_text() == "first"
        (first / "b").write_text("first")
    assert [(tmp_path / "target" / name).read_text() for name in "ab"] == ["second", "second"]
    assert names(tmp_path) == ["target"]


@pytest.mark.parametrize("make", [new_folder, replacing])
def test_what_a_killed_process_left_is_removed_and_what_a_live_one_makes_is_not(tmp_path, make):
    context = multiprocessing.get_context("fork")
    started, killed = context.Event(), context.Process(target=lambda: wait_inside(make, tmp_path / "target", started))
    killed.start()
    assert started.wait(30)
    before = names(tmp_path)
    with make(tmp_path / "target") as temporary:
        if make is replacing:
            temporary.write_text("whole")
        assert set(before) < set(names(tmp_path))
    killed.kill()
    killed.join()
    assert names(tmp_path) == sorted([*before, "target"])
    with pytest.raises(ValueError, match="stop"), make(tmp_path / "target"):
        raise ValueError("stop")
    assert names(tmp_path) == ["target"]


def wait_inside(make, target: Path, started) -> None:
    with make(target):
        started.set()
        time.sleep(60)


def test_where_there_are_no_locks_folders_are_made_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("kws.data.locks.fcntl", None)
    with one_at_a_time(tmp_path / "target"), new_folder(tmp_path / "target"), new_folder(tmp_path / "other"):
        pass
    assert names(tmp_path) == ["other", "target"]


def test_one_at_a_time(tmp_path):
    inside, most = [], []

    def work():
        for _ in range(20):
            with one_at_a_time(tmp_path / "target"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 80
    assert names(tmp_path) == []


def test_a_cache_that_another_process_replaces_at_once_is_not_taken_for_ones_own(tmp_path, monkeypatch):
    path = tmp_path / "cache.pt"
    real = storage.save_whole

    def and_then_the_other(content, path):
        real(content, path)
        real({"key": "other", "value": {"x": torch.zeros(1)}}, path)

    monkeypatch.setattr(storage, "save_whole", and_then_the_other)
    assert cached(path, "mine", lambda: {"x": torch.ones(1)})["x"] == 1


def test_the_state_of_a_link_is_that_of_its_file(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, ns=(10**18, 10**18))
    link = tmp_path / "link"
    link.symlink_to("a")
    first = file_state(link)
    assert first == file_state(tmp_path / "a") != file_state(tmp_path / "b")
    (tmp_path / "a").write_text("A")
    assert file_state(link) != first
    link.unlink()
    link.symlink_to("nowhere")
    assert file_state(link) == ()


def test_a_full_disk_names_the_sound_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"a\.flac: could not be written; is the disk full\? .*No space left"):
        save_flac(torch.zeros(100, dtype=torch.int16), tmp_path / "a.flac", 16_000)
