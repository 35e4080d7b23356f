"""Jobs in several processes: the results of one process, in order, and an end to all of them when one fails."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import torch

from kws.data.jobs import in_order, job_count, tick

pytestmark = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")


@pytest.mark.parametrize("jobs", ["1", "2", "3"])
def test_results_come_in_the_order_of_the_items(monkeypatch, jobs):
    monkeypatch.setenv("KWS_JOBS", jobs)
    offset = np.arange(3)

    def job(item: int):
        time.sleep(0.02 * (item % 3))
        return offset + item

    found = list(in_order(job, range(10), progress=False))
    assert [list(row) for row in found] == [[i, i + 1, i + 2] for i in range(10)]


def test_each_worker_has_one_thread_and_starts_no_workers(monkeypatch):
    monkeypatch.setenv("KWS_JOBS", "2")

    def job(_):
        return torch.get_num_threads(), job_count(), os.getpid()

    found = list(in_order(job, range(6), progress=False))
    assert {row[:2] for row in found} == {(1, 1)}
    assert os.getpid() not in {row[2] for row in found}


def test_training_in_a_worker_gives_the_same_bytes(monkeypatch):
    """Of gradients too, after this process has used its own."""

    def job(seed: int) -> bytes:
        torch.manual_seed(seed)
        model = torch.nn.GRU(4, 8, batch_first=True)
        optimizer = torch.optim.AdamW(model.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(16, 10, 4))[0].square().mean().backward()
            optimizer.step()
        return b"".join(p.detach().numpy().tobytes() for p in model.parameters())

    monkeypatch.setenv("KWS_JOBS", "1")
    alone = list(in_order(job, range(3), progress=False))
    monkeypatch.setenv("KWS_JOBS", "2")
    assert list(in_order(job, range(3), progress=False)) == alone


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_error_is_the_jobs_own_and_ends_the_others(monkeypatch, jobs):
    monkeypatch.setenv("KWS_JOBS", jobs)

    def job(item: int):
        if item == 1:
            raise KeyError("this one")
        time.sleep(0 if item == 0 else 30 * (jobs == "2"))
        return item

    begun = time.monotonic()
    with pytest.raises(KeyError, match="this one"):
        list(in_order(job, range(4), progress=False))
    assert time.monotonic() - begun < 20


def test_a_killed_worker_is_told(monkeypatch):
    monkeypatch.setenv("KWS_JOBS", "2")
    with pytest.raises(RuntimeError, match="KWS_JOBS=1"):
        list(in_order(lambda _: os.kill(os.getpid(), signal.SIGKILL), range(4), progress=False))


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ticks_reach_the_bar(monkeypatch, capsys, jobs):
    monkeypatch.setenv("KWS_JOBS", jobs)
    list(
        in_order(lambda item: [tick() for _ in range(item)], [2, 3], "training", "epoch", lambda item: item, ticks=True)
    )
    assert "5/5" in capsys.readouterr().err


@pytest.mark.parametrize("wanted", ["0", "-1", "two", "1.5"])
def test_a_count_that_is_none_is_refused(monkeypatch, wanted):
    monkeypatch.setenv("KWS_JOBS", wanted)
    with pytest.raises(ValueError, match="KWS_JOBS"):
        job_count()


def test_macos_has_one_job_unless_it_is_told(monkeypatch):
    monkeypatch.delenv("KWS_JOBS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert job_count() == 1
    monkeypatch.setenv("KWS_JOBS", "3")
    assert job_count() == 3


def test_a_child_process_that_ends_with_its_last_job_leaves_nobody(monkeypatch):
    monkeypatch.setenv("KWS_JOBS", "2")
    child = multiprocessing.get_context("fork").Process(target=lambda: list(in_order(abs, range(4), progress=False)))
    child.start()
    child.join(30)
    hanging = child.is_alive()
    child.kill()
    assert not hanging


def test_workers_end_with_a_killed_parent(tmp_path, monkeypatch):
    monkeypatch.setenv("KWS_JOBS", "2")

    def job(item: int) -> None:
        (tmp_path / str(item)).write_text(str(os.getpid()))
        time.sleep(30)

    parent = multiprocessing.get_context("fork").Process(
        target=lambda: list(in_order(job, range(2), progress=False)), daemon=False
    )
    parent.start()
    assert wait_for(lambda: all((tmp_path / str(i)).is_file() and (tmp_path / str(i)).read_text() for i in range(2)))
    parent.kill()
    parent.join()
    workers = [int((tmp_path / str(i)).read_text()) for i in range(2)]
    assert wait_for(lambda: not any(runs(worker) for worker in workers))


def wait_for(happened) -> bool:
    end = time.time() + 20
    while not happened() and time.time() < end:
        time.sleep(0.05)
    return happened()


def runs(process: int) -> bool:
    """Whether it is there, and no zombie that nobody has waited for."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
