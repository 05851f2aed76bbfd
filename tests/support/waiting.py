"""Waiting for what only another process can say."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

WITHIN = 120  # seconds, for what should take milliseconds: only what hangs takes as long, however busy the machine
SOON = 0.1  # seconds, for an answer that never comes


def until(condition: Callable[[], bool], within: float = WITHIN) -> None:
    """Wait until the condition holds; fail the test when it does not.

    Args:
        condition: looked at again and again.
        within: seconds.
    """
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Whether a process has ended, collected by its parent or not.

    Args:
        pid: its id.
    """
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
