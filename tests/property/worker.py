"""A worker of the property test: it can rest, sleep or die between any two calls."""

from __future__ import annotations

import threading
from collections.abc import Callable

PATIENCE = 60  # seconds that a thread may take for one step, far more than it ever needs

_here = threading.local()


def rest(before: str) -> None:
    """A worker rests here until it is released; any other caller passes."""
    worker: Worker | None = getattr(_here, "worker", None)
    if worker:
        worker.rest(before)


class Killed(BaseException):
    """The worker's process has died."""


class Worker:
    """Work in a thread of its own, which rests before each call to the ledger and the provider.

    Only one thread ever moves.

    Args:
        id: the email id that it works on.
        work: what it does.

    Attributes:
        before: the call before which it rests: a script's name, `provider`, `answer` or `end`.
        done: whether it is over.
    """

    def __init__(self, id: str, work: Callable[[], object]) -> None:
        self.id = id
        self.before = ""
        self.done = False
        self._killed = False
        self._error: BaseException | None = None
        self._turn, self._rested = threading.Semaphore(0), threading.Semaphore(0)
        threading.Thread(target=self._run, args=(work,), daemon=True).start()
        self._await()

    def _run(self, work: Callable[[], object]) -> None:
        _here.worker = self
        try:
            work()
        except Killed:
            pass
        except BaseException as error:  # handed over: the test raises it
            self._error = error
        self.done = True
        self._rested.release()

    def rest(self, before: str) -> None:
        """Called in its own thread."""
        self.before = before
        self._rested.release()
        self._turn.acquire()
        if self._killed:
            raise Killed

    def go_on(self) -> None:
        """Make the next call, and rest before the one that follows."""
        if not self.done:
            self._turn.release()
            self._await()

    def kill(self) -> None:
        """Die instead of the next call."""
        self._killed = True
        self.go_on()

    def _await(self) -> None:
        assert self._rested.acquire(timeout=PATIENCE), f"a worker hangs after {self.before}"
        if self._error:
            raise self._error
