"""The scheduler's loop on a ledger that a newer release has."""

from __future__ import annotations

import threading

import structlog
from redis import Redis

from scheduler.release import Loop
from scheduler.rq_schedule import Schedule
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.version import VERSION
from tests.support.waiting import until


def test_a_newer_ledger_is_waited_for_and_logged_once(ledger: Ledger, redis: Redis, raw: Redis) -> None:
    """In one sentence, and without a heartbeat; an earlier backup, put back, is worked on at once."""
    redis.set(ids.VERSION, VERSION + 1)
    stop, schedule = threading.Event(), Schedule(ledger, raw)
    thread = threading.Thread(target=Loop(ledger, schedule, stop).run)
    redis.config_resetstat()

    def passes() -> int:
        return int(redis.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))

    with structlog.testing.capture_logs() as logs:
        thread.start()
        try:
            until(lambda: passes() > 2)
            assert redis.exists(ids.TICK, schedule.key) == 0
            redis.set(ids.VERSION, VERSION)
            until(lambda: redis.exists(ids.TICK, schedule.key) == 2)
        finally:
            stop.set()
            thread.join()
    (said,) = [log for log in logs if log["log_level"] == "error"]
    assert said["event"] == "ledger.too_new"
    assert said["why"].startswith(
        f"the ledger has version {VERSION + 1}, and this program reads up to {VERSION}; run the release"
    )
