"""A worker that waits on its queue while Redis becomes a replica."""

from __future__ import annotations

import threading

import pytest
from redis import Redis
from rq import Queue

from scheduler.rq_schedule import QUEUE, Job
from scheduler.worker import Worker
from tests.support.waiting import until


def test_an_idle_worker_outlives_that_its_redis_becomes_a_replica(raw: Redis, caplog: pytest.LogCaptureFixture) -> None:
    """Redis breaks off each wait for a job then, and says so by a word of its own."""

    def demote() -> None:
        until(lambda: raw.info("clients")["blocked_clients"] > 0)
        raw.replicaof("127.0.0.1", "9")
        until(lambda: raw.info("clients")["blocked_clients"] == 0)
        raw.replicaof("NO", "ONE")

    thread = threading.Thread(target=demote)
    thread.start()
    with caplog.at_level("ERROR"):
        Worker([Queue(QUEUE, connection=raw, job_class=Job)], connection=raw, job_class=Job).work(logging_level="ERROR", max_idle_time=3)
    thread.join()
    assert "unhandled exception" not in caplog.text
