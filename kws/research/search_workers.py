"""The workers of a search on one machine: processes of one thread, each with a connection of its own to the study."""

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing import connection

import optuna
from optuna.exceptions import OptunaError
from sqlalchemy.exc import SQLAlchemyError

from kws.data.jobs import job_count, start_worker
from kws.research.search import Limits, bound_to, first_line, open_storage, open_study, work
from kws.research.search_interrupt import Interrupt
from kws.research.search_material import Material

POLL_SECONDS = 0.3
PATIENCE = 20  # seconds that a worker which was told to end may take

LOST = (SQLAlchemyError, OptunaError, UnboundLocalError)
"""What a database that goes away raises; the last is how optuna 5.0.0 trips over it."""

Show = Callable[[optuna.Study], None]


def connect(url: str, name: str, material: Material) -> optuna.Study:
    """A study by its storage's URL and its name. Raises ``ValueError`` as ``open_storage`` and ``open_study`` do."""
    return open_study(open_storage(url), name, bound_to(material), begin=False)


def begin(url: str, name: str, material: Material) -> None:
    """Make a study if it is not there, and leave no connection open. Raises ``ValueError`` as ``connect`` does."""
    storage = open_storage(url)
    open_study(storage, name, bound_to(material))
    storage.remove_session()
    storage.engine.dispose()


def search(url: str, name: str, material: Material, limits: Limits, show: Show = lambda study: None) -> None:
    """Do trials in as many processes as ``KWS_JOBS`` says until a limit is reached; ``show`` is called now and then.

    Raises ``OSError`` if all workers were lost, or lost the study. Ctrl-C ends them: their running trials are marked as failed.
    """
    # A signal amid a query would leave the database locked: it counts at the next look.
    interrupt = Interrupt()
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        if job_count() > 1:
            _in_workers(url, name, material, limits, show, interrupt)
        else:
            study = connect(url, name, material)
            show(study)
            work(study, material, limits, lambda: show(study), interrupt)
    except LOST as error:
        raise OSError(f"the study was lost: {first_line(error)}; finished trials are kept") from error
    finally:
        signal.signal(signal.SIGINT, before)


def _in_workers(url: str, name: str, material: Material, limits: Limits, show: Show, interrupt: Interrupt) -> None:
    # Each process opens a connection of its own: one that is forked would be shared.
    context = multiprocessing.get_context("fork")
    said = context.SimpleQueue()
    how = (url, name, material, limits, said)
    workers = [context.Process(target=_worker, args=how, daemon=True) for _ in range(job_count())]
    for worker in workers:
        worker.start()
    try:
        study = connect(url, name, material)
        while any(worker.is_alive() for worker in workers):
            interrupt.check()
            show(study)
            connection.wait([w.sentinel for w in workers if w.is_alive()], POLL_SECONDS)
        show(study)
    finally:
        for worker in workers:
            worker.terminate()  # where there is still one: it marks its trial as failed
        for worker in workers:
            worker.join(PATIENCE)
            worker.kill()
    if all(worker.exitcode for worker in workers):
        why = "they were ended from outside, perhaps for want of memory" if said.empty() else said.get()
        raise OSError(f"no worker is left: {why}; finished trials are kept")


def _worker(url: str, name: str, material: Material, limits: Limits, said) -> None:
    # Ctrl-C reaches all processes of a terminal: here only what the parent says counts, so that it comes once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupt = Interrupt()
    signal.signal(signal.SIGTERM, interrupt)
    start_worker()
    try:
        work(connect(url, name, material), material, limits, interrupt=interrupt)
    except KeyboardInterrupt:
        pass
    except (ValueError, OSError, *LOST) as error:
        said.put(first_line(error))
        raise SystemExit(1) from None
