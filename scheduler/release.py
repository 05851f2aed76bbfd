"""The scheduler, `python -m scheduler.release`: releases due wake-ups, recovers lost ones, audits all enrollments, and
reports a heartbeat.

Two may run at once.
"""

from __future__ import annotations

import gc
import math
import signal
import threading
import time

from redis.exceptions import RedisError

from scheduler import doubt_poll, metrics, notion_poll
from scheduler.rq_schedule import Schedule
from shared import services
from shared.core import log
from shared.core.errors import LedgerTooNew
from shared.core.startup import or_exit
from shared.ledger.client import Ledger
from shared.ledger.redis_errors import explained

LONGEST_SLEEP = 0.25
SWEEP_EVERY = 5.0
AUDIT_WITHIN = 3600.0  # seconds in which all enrollments are checked, however many there are
SMALLEST_SLICE = 1000  # keys
_logger = log.logger("scheduler")


class Loop:
    """Release and sweep until stopped; waits while Redis is unreachable or a newer release owns the ledger.

    Args:
        ledger: decides what to release.
        schedule: shows the heartbeat to RQ's tools.
        stop: set it to end the loop.
    """

    def __init__(self, ledger: Ledger, schedule: Schedule, stop: threading.Event) -> None:
        self.ledger = ledger
        self.schedule = schedule
        self.stop = stop
        self._suspects: set[str] = set()
        self._swept = 0.0
        self._cursor = 0
        self._away = self._too_new = False

    def run(self) -> None:
        """Continue until `stop` is set."""
        while not self.stop.is_set():
            try:
                wait = self._pass()
                self._too_new = False
                if self._away:
                    _logger.warning("redis.back")
                self._away = False
            except LedgerTooNew as error:
                if not self._too_new:
                    _logger.error("ledger.too_new", why=str(error))
                self._too_new, wait = True, LONGEST_SLEEP
            except RedisError as error:
                if not self._away:
                    _logger.error("redis.unavailable", why=explained(error))
                self._away, wait = True, LONGEST_SLEEP
            self.stop.wait(wait)

    def _pass(self) -> float:
        """Release what is due; returns the seconds until the next round."""
        done = self.ledger.release()
        if time.monotonic() - self._swept >= SWEEP_EVERY:
            swept = self.ledger.sweep(self._suspects)
            self._suspects = swept.overdue
            if swept.woken:
                _logger.warning("steps.swept", woken=swept.woken)
            self.schedule.heartbeat()
            self._swept = time.monotonic()
            self._audit()
        if done.released or done.dropped:
            return 0
        return LONGEST_SLEEP if done.following is None else min(done.following / 1000, LONGEST_SLEEP)

    def _audit(self) -> None:
        """Put back emails that are on no list, in the next slice of all enrollments; starts again after the last
        one."""
        size = max(SMALLEST_SLICE, math.ceil(self.ledger.redis.dbsize() * SWEEP_EVERY / AUDIT_WITHIN))
        self._cursor, found = self.ledger.audit_slice(self._cursor, size=size, repair=True)
        if found:
            _logger.error("steps.unlisted", count=len(found), first=found[0])


def main() -> None:
    """Run the scheduler until SIGTERM or SIGINT."""
    with or_exit():
        settings = services.current_settings().require("redis_url")
        ledger, catalog = services.ledger(), services.catalog()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    loop = Loop(ledger, Schedule(ledger, services.connect(settings, decode=False)), stop)
    _logger.info("scheduler.started")
    metrics.start(settings.host, settings.metrics_port, metrics.Figures(ledger, catalog.campaigns))
    looking = [*notion_poll.start(stop), *doubt_poll.start(stop)]
    gc.freeze()  # see shared/web/server.py
    loop.run()
    for thread in looking:
        thread.join(timeout=1)
    _logger.info("scheduler.stopped")


if __name__ == "__main__":
    main()
