"""Polls Notion for the owner's changes, in a thread beside the release loop, in one replica at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from redis.exceptions import LockError, RedisError
from redis.lock import Lock

from shared import services
from shared.core import log
from shared.core.errors import LedgerTooNew, NotionError
from shared.ledger.client import Ledger
from shared.ledger.fence_state import FenceState
from shared.ledger.redis_errors import explained
from shared.notion.column_watch import ColumnWatch
from shared.notion.template_pull import Puller
from shared.operations.enrollment_actions import EnrollmentActions
from shared.operations.notion_pause import NotionPause
from shared.recovery.fence import Fence

EVERY = 20.0  # seconds from poll to poll: an edit goes out within a minute
LOCK = "eg:owner"
LOCK_FOR = 90  # seconds after which another replica takes over from one that died
FENCE_LOCK, FENCE_LOCK_FOR = "eg:fence:holder", 10
FENCE_EVERY = 1.0  # seconds: nothing is sent until a new start of Redis is confirmed
_logger = log.logger("notion-poll")


@dataclass
class NotionPoll:
    """Polls Notion repeatedly.

    Attributes:
        ledger: holds the lock.
        tasks: what to poll, in order.
        every: seconds from poll to poll.
        lock: its name.
        lock_for: seconds that the lock lasts without a poll.
    """

    ledger: Ledger
    tasks: Sequence[Callable[[], object]]
    every: float = EVERY
    lock: str = LOCK
    lock_for: float = LOCK_FOR
    _lock: Lock = field(init=False)
    _away: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self._lock = self.ledger.redis.lock(self.lock, timeout=self.lock_for, thread_local=False)

    def poll(self) -> bool:
        """Poll everything once, unless another replica does; returns whether this one did.

        Each task has its turn, even if another one fails; then the first error is raised.

        Raises:
            NotionError: if Notion does not respond, or refuses.
            LedgerTooNew: if a newer release owns the ledger: the fence, texts and ticks are written without a script.
        """
        self.ledger.check_version()
        if not self._holds():
            return False
        fault: Exception | None = None
        for task in self.tasks:
            try:
                task()
            except Exception as error:
                fault = fault or error
        if fault:
            raise fault
        return True

    def _holds(self) -> bool:
        try:
            if self._lock.owned():
                return bool(self._lock.reacquire())
        except LockError:
            pass  # it expired in between; compete for it again
        return bool(self._lock.acquire(blocking=False))

    def run(self, stop: threading.Event) -> None:
        """Continue until `stop` is set, despite errors."""
        while not stop.is_set():
            started = time.monotonic()
            try:
                self.poll()
                if self._away:
                    _logger.warning("poll.back")
                self._away = ""
            except (NotionError, LedgerTooNew, RedisError) as error:
                why = explained(error) if isinstance(error, RedisError) else str(error)
                if why != self._away:
                    _logger.warning("poll.unavailable", why=why)
                self._away = why
            except Exception:  # the thread must survive: what failed may be fixed by the next poll
                _logger.exception("poll.failed")
            stop.wait(started + self.every - time.monotonic())
        try:
            self._lock.release()
        except (LockError, RedisError):
            _logger.info("poll.stopped_without_lock")


def owner() -> NotionPoll:
    """Polls what the owner may change in Notion; without Notion there is nothing to poll."""
    settings, ledger, catalog = services.current_settings(), services.ledger(), services.catalog()
    tasks: list[Callable[[], object]] = []
    if settings.notion_token and settings.notion_email_sequence_db_id:
        tasks.append(
            NotionPause(ledger, EnrollmentActions(ledger, catalog, settings), settings, services.notion()).poll
        )
    if settings.notion_token and settings.notion_templates_db_id:
        tasks.append(Puller(ledger, catalog, settings, services.notion()).pull)
    if settings.notion_token:
        tasks.append(ColumnWatch(ledger, settings, services.notion()).poll)
    return NotionPoll(ledger, tasks)


def fence() -> NotionPoll:
    """The fence's poll: a separate loop, because sending waits for it."""
    settings, ledger = services.current_settings(), services.ledger()
    if not settings.fenced:
        return NotionPoll(ledger, [lambda: FenceState(ledger).drop("on")], lock=FENCE_LOCK, lock_for=FENCE_LOCK_FOR)
    tasks = [Fence(ledger, settings, services.notion()).poll]
    return NotionPoll(ledger, tasks, FENCE_EVERY, FENCE_LOCK, FENCE_LOCK_FOR)


def start(stop: threading.Event) -> list[threading.Thread]:
    """Run this process's owner poll and fence poll, each in a thread, until `stop` is set."""
    threads = [threading.Thread(target=part.run, args=(stop,), daemon=True) for part in (fence(), owner())]
    for thread in threads:
        thread.start()
    return threads
