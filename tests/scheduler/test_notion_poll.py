"""The owner's part of the scheduler: one replica at a time, through every outage, and an edit in time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from scheduler import notion_poll
from scheduler.notion_poll import LOCK, LOCK_FOR, NotionPoll
from shared import services
from shared.core.errors import LedgerTooNew, NotionError
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.version import VERSION
from tests.conftest import Clock
from tests.support.owners_desk import OwnersDesk
from tests.support.refusing import Refuse
from tests.support.sandbox_server import Sandbox
from tests.support.waiting import WITHIN, until
from tests.support.world import SETTINGS, World


@pytest.fixture
def desk(redis: Redis, clock: Clock, box: Sandbox) -> OwnersDesk:
    """By Redis's own clock."""
    return OwnersDesk(World(Ledger(redis), clock), box)


class Task:
    """Counts its calls, and raises the given errors, one each."""

    def __init__(self, *faults: Exception) -> None:
        self.calls = 0
        self.faults = list(faults)

    def __call__(self) -> None:
        self.calls += 1
        if self.faults:
            raise self.faults.pop(0)


@contextmanager
def running(loop: NotionPoll) -> Iterator[None]:
    """The loop in a thread, which ends with the block."""
    stop = threading.Event()
    thread = threading.Thread(target=loop.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_one_replica_polls(ledger: Ledger) -> None:
    """The second does nothing until the first is gone, and then takes over."""
    tasks = Task(), Task()
    first, second = (NotionPoll(ledger, [task]) for task in tasks)
    assert [first.poll(), second.poll(), first.poll()] == [True, False, True]
    assert [task.calls for task in tasks] == [2, 0]
    assert 0 < float(str(ledger.redis.ttl(LOCK))) <= LOCK_FOR
    ledger.redis.delete(LOCK)  # as when it ran out
    assert [second.poll(), first.poll()] == [True, False]


def test_an_older_replica_leaves_a_newer_ledger_alone(ledger: Ledger) -> None:
    """It polls nothing, writes neither fence nor texts, and does not even hold the lock; its thread lives on."""
    task = Task()
    ledger.redis.set(ids.VERSION, VERSION + 1)
    poll = NotionPoll(ledger, [task], every=0.01)
    with pytest.raises(LedgerTooNew):
        poll.poll()
    with structlog.testing.capture_logs() as logs, running(poll):
        until(lambda: len(logs) == 1)
        assert (task.calls, list(ledger.redis.scan_iter())) == (0, [ids.VERSION])
        ledger.redis.set(ids.VERSION, VERSION)
        until(lambda: task.calls > 0)
    assert "run the release that wrote it" in logs[0]["why"]


def test_a_stopped_replica_leaves_the_lock(ledger: Ledger) -> None:
    """The other need not wait until it runs out."""
    stop = threading.Event()
    first = NotionPoll(ledger, [stop.set])
    first.run(stop)
    assert NotionPoll(ledger, [Task()]).poll()


def test_nothing_ends_the_loop(ledger: Ledger) -> None:
    """Notion unavailable, Redis unavailable, and a bug of ours: it looks again."""
    stop = threading.Event()
    task = Task(NotionError("unsure", "no answer"), RedisConnectionError("away"), IndexError("a fault"))
    last = Task()
    loop = NotionPoll(ledger, [task, last, lambda: stop.set() if task.calls == 4 else None], every=0)
    loop.run(stop)
    assert not ledger.redis.exists(LOCK)
    assert task.calls == last.calls == 4, "what one task cannot do holds up no other"


def test_an_edit_is_in_the_next_email_in_time(desk: OwnersDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop as the scheduler starts it, by real clocks, at the default rate of Notion, with looks ten times as
    often."""
    monkeypatch.setattr(services, "current_settings", lambda: desk.settings)
    monkeypatch.setattr(services, "ledger", lambda: desk.world.ledger)
    loop = notion_poll.owner()
    loop.every = notion_poll.EVERY / 10
    store = desk.store()
    with running(loop):
        page = desk.writes("First.", "First")
        until(lambda: store["christmas", "christmas_email_1"].subject_source == "First")
        desk.changes(page, Subject={"rich_text": [{"text": {"content": "Second"}}]})
        until(lambda: store["christmas", "christmas_email_1"].subject_source == "Second")


def test_without_notion_there_is_nothing_to_poll(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """No token or no database of templates: no request, no fault."""
    monkeypatch.setattr(services, "current_settings", lambda: SETTINGS)
    monkeypatch.setattr(services, "ledger", lambda: ledger)
    assert notion_poll.owner().tasks == []


def test_polling_waits_while_redis_refuses_writes(
    ledger: Ledger, refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it refuses the lock meanwhile, one line says that it is unavailable and one that it is back."""
    logger = structlog.testing.CapturingLogger()
    monkeypatch.setattr(notion_poll, "_logger", logger)
    task, asked = Task(), threading.Semaphore(0)
    loop = NotionPoll(ledger, [task], every=0.01)
    holds = loop._holds

    def holds_it() -> bool:
        asked.release()
        return holds()

    monkeypatch.setattr(loop, "_holds", holds_it)
    refuse(True)
    with running(loop):
        for _ in range(4):
            assert asked.acquire(timeout=WITHIN)
        assert task.calls == 0
        refuse(False)
        until(lambda: task.calls > 1)
    assert [call.args[0] for call in logger.calls] == ["poll.unavailable", "poll.back"]
