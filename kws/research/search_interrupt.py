"""Ctrl-C in a search: it ends the trial that runs, and nothing that is being written down."""

from collections.abc import Iterator
from contextlib import contextmanager


class Interrupt:
    """A handler of a signal: amid a training it raises ``KeyboardInterrupt`` at once, anywhere else when it is looked at.

    An exception amid a query would leave the database locked; one amid optuna's work its thread, which keeps a process alive.
    """

    def __init__(self) -> None:
        self.asked = self.amid = False

    def __call__(self, *_) -> None:
        self.asked = True
        if self.amid:
            raise KeyboardInterrupt

    @contextmanager
    def raises(self) -> Iterator[None]:
        """The block in which it raises."""
        try:
            self.amid = True
            self.check()
            yield
        finally:
            self.amid = False

    def check(self) -> None:
        """Raise ``KeyboardInterrupt`` if there was a signal."""
        if self.asked:
            raise KeyboardInterrupt
