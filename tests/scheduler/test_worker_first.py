"""The first process of a container, a worker whose Redis takes no writes at its start."""

from __future__ import annotations

import signal

import pytest
from redis import Redis
from rq import Queue

from scheduler.rq_schedule import QUEUE, Job
from scheduler.worker import Worker


def test_a_worker_that_waits_at_its_start_hears_that_it_is_to_stop(raw: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel spares a first process each signal that it has no handler for."""
    found: list[object] = []

    def wait(_: float) -> None:
        found.append(signal.getsignal(signal.SIGTERM))
        raw.config_set("maxmemory", 0)

    monkeypatch.setattr("scheduler.worker.sleep", wait)
    raw.config_set("maxmemory", 1)
    Worker([Queue(QUEUE, connection=raw, job_class=Job)], connection=raw, job_class=Job).work(burst=True, logging_level="CRITICAL")
    assert found and found[0] is not signal.SIG_DFL
