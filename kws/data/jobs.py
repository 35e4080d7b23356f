"""Independent jobs on every core: forked worker processes of one thread each, their results in order.

One thread each, because sums on several threads come in another order: so the results are the same bytes whatever the number of jobs.
"""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import count
from multiprocessing import connection
from typing import Any

import torch
from tqdm import tqdm

POLL_SECONDS = 0.3  # between two looks at how far the workers are

_shared: dict[int, tuple[Callable, Any]] = {}  # job lists under way: function and counter, handed over by forking
_numbers = count()
_tick: Callable[[int], None] | None = None  # in whoever computes: what ``tick`` calls
_worker = False


def job_count() -> int:
    """Processes that work at once: the environment variable KWS_JOBS, or every core this process may use; 1 in a worker.

    Without KWS_JOBS it is 1 on macOS, whose system libraries may crash in a forked process.
    Raises ``ValueError`` for a KWS_JOBS that is not a whole number of 1 or more.
    """
    wanted = os.environ.get("KWS_JOBS", "")
    if wanted and not (wanted.isascii() and wanted.isdigit() and int(wanted) >= 1):
        raise ValueError(f"the environment variable KWS_JOBS must be a whole number of 1 or more, not {wanted!r}")
    if _worker or "fork" not in multiprocessing.get_all_start_methods():
        return 1
    if wanted:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def tick(amount: int = 1) -> None:
    """Say from inside a job that so much more of it is done, where ``in_order`` was told that jobs tick."""
    if _tick is not None:
        _tick(amount)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread inside the block, or in the function that it decorates, so that the result is the same on every machine.

    Many small operations are faster so, too: on two threads, with another process on the machine, judging took 50 times as long.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def in_order(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    title: str = "",
    unit: str = "it",
    size: Callable[[Any], int] | None = None,
    ticks: bool = False,
    progress: bool = True,
    jobs: int | None = None,
) -> Iterator[Any]:
    """``function(item)`` of each item, in the order of the items, computed by several processes.

    Args:
        function: it and what it closes over are inherited by forking, not copied; items and results are pickled. Give NumPy arrays
            rather than tensors, which take file descriptors.
        title, unit: of the one progress bar. size: what an item counts in it, 1 without.
        ticks: jobs report their own progress by ``tick``, up to their ``size``.
        jobs: at most so many processes; ``job_count()`` without.

    Few results wait in memory: two for each process. An error in a job ends all of them and is raised here. Raises ``RuntimeError``
    if a process was killed from outside.
    """
    items = list(items)
    workers = min(jobs or job_count(), job_count(), len(items))
    total = sum(map(size, items)) if size else len(items)
    with tqdm(total=total, desc=title, unit=unit, disable=not (progress and items)) as bar:
        compute = _in_workers if workers > 1 else _here
        yield from compute(function, items, workers, bar, size or (lambda _: 1), ticks)


def _here(function, items, _workers, bar, size, ticks) -> Iterator[Any]:
    """In this process, on one thread."""
    global _tick
    for item in items:
        before = _tick
        _tick = bar.update if ticks else None
        try:
            with one_thread():
                result = function(item)
        finally:
            _tick = before
        bar.update(0 if ticks else size(item))
        yield result


def _in_workers(function, items, workers, bar, size, ticks) -> Iterator[Any]:
    context = multiprocessing.get_context("fork")
    number, counter = next(_numbers), context.Value("q", 0)
    _shared[number] = function, counter
    others, waiting, left = set(multiprocessing.active_children()), deque(), deque(items)
    pool = ProcessPoolExecutor(workers, context, start_worker)
    try:
        while waiting or left:
            # Only few are under way, so that what is finished early does not fill the memory.
            while left and len(waiting) < 2 * workers:
                item = left.popleft()
                waiting.append((item, pool.submit(_work, number, item)))
            item, future = waiting.popleft()
            _wait(future, [f for _, f in waiting], bar, counter if ticks else None, workers)
            result = future.result()
            bar.update(0 if ticks else size(item))
            yield result
    except BrokenProcessPool as error:
        raise RuntimeError(
            "a worker process was ended from outside, perhaps for want of memory: set KWS_JOBS=1 and run it again"
        ) from error
    except BaseException:
        # What still runs is of no use any more; waiting for it could take minutes.
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        # Waiting is short, as all is done or ended. Not waiting can leave workers that nobody tells to stop, if this process ends now.
        pool.shutdown(cancel_futures=True)
        del _shared[number]


def _wait(future: Future, others: list[Future], bar: tqdm, counter, workers: int) -> None:
    """Until a job is done, showing what the workers ticked."""
    while True:
        done = wait([future], POLL_SECONDS).done
        if counter is not None:
            bar.update(counter.value - bar.n)
            running = min(workers, sum(f.running() for f in (future, *others)))  # one more is on its way
            bar.set_postfix_str(f"{running} running" if running else "")
        if done:
            return


def start_worker() -> None:
    """Make this process, just forked, a worker: one thread, no workers of its own, ended with its parent."""
    global _worker
    _worker = True
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Else workers of a killed process would wait for jobs for ever, and keep its locks."""
    connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _work(number: int, item: Any) -> Any:
    global _tick
    function, counter = _shared[number]

    def add(amount: int) -> None:
        with counter.get_lock():
            counter.value += amount

    _tick = add
    return function(item)
