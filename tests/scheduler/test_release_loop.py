"""The scheduler's loop on a real Valkey: what is due is released, what was lost is found, and an absent Redis is waited
for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from redis import Redis
from redis.exceptions import ConnectionError as RedisAway

from scheduler import release
from scheduler.release import Loop
from scheduler.rq_schedule import Schedule
from shared.ledger import ids
from shared.ledger.answers import Swept
from shared.ledger.client import Ledger
from tests.support.refusing import forbidding
from tests.support.waiting import until
from tests.support.world import World


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep on each pass."""
    monkeypatch.setattr(release, "SWEEP_EVERY", 0.0)


@contextmanager
def going_on(ledger: Ledger, raw: Redis) -> Iterator[None]:
    """The loop at work beside the test."""
    stop = threading.Event()
    thread = threading.Thread(target=Loop(ledger, Schedule(ledger, raw), stop).run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=60)
    assert not thread.is_alive()


def queued(world: World) -> int:
    """How many jobs wait for a worker."""
    return int(world.redis.llen(ids.QUEUE))


def test_a_due_email_is_released(world: World, raw: Redis) -> None:
    """The second email's time comes while the loop runs."""
    run = world.sign_up()
    world.work()
    with going_on(world.ledger, raw):
        world.clock.advance(hours=24)
        until(lambda: queued(world) == 1)
    world.work()
    assert world.states(run)[:2] == ["sent", "sent"]


@pytest.mark.parametrize("lost", ["the job", "the entry of the schedule", "the worker before it posted"])
def test_a_lost_email_is_found(world: World, raw: Redis, lost: str) -> None:
    """From one sweep to the next the loop remembers what was overdue, and wakes what still is."""
    run = world.sign_up()
    world.release()
    if lost == "the worker before it posted":
        world.ledger.claim(run, 1, token="dead", late={}, rate=1000, batch_above=10**6)
    if lost == "the entry of the schedule":
        world.work()
        world.redis.delete(ids.SCHEDULED)
        world.clock.advance(hours=24)
    world.redis.delete(ids.QUEUE)
    world.clock.advance(seconds=51)
    with going_on(world.ledger, raw):
        until(lambda: queued(world) == 1)
    world.work()
    assert world.states(run)[1 if lost == "the entry of the schedule" else 0] == "sent"


def test_an_email_on_no_list_is_put_back(world: World, raw: Redis) -> None:
    """The loop's audit repairs what it finds."""
    run = world.sign_up()
    world.redis.zrem(ids.OPEN, f"{run}-2")
    with going_on(world.ledger, raw):
        until(lambda: world.redis.zscore(ids.OPEN, f"{run}-2") is not None)


def test_what_only_one_sweep_saw_is_left_alone(world: World, raw: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that is overdue on one pass, and done by the next, is not woken."""
    run = world.sign_up()
    world.release()
    world.redis.delete(ids.QUEUE)
    world.clock.advance(seconds=51)
    sweep, seen = world.ledger.sweep, list[set[str]]()

    def swept(suspects: Any) -> Swept:
        found = sweep(suspects)
        seen.append(found.overdue)
        world.sender.send(run, 1)
        return found

    monkeypatch.setattr(world.ledger, "sweep", swept)
    with going_on(world.ledger, raw):
        until(lambda: len(seen) > 3)
    assert seen[0] == {f"{run}-1"} and not any(seen[1:])
    assert queued(world) == 0
    assert world.provider.email_ids == [f"{run}-1"]


def test_the_loop_waits_for_an_unavailable_redis(world: World, raw: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a release nor a sweep that fails ends the loop."""
    run = world.sign_up()
    world.work()
    world.clock.advance(hours=24)
    failing = {"release": 2, "sweep": 2}

    def sometimes(name: str) -> Any:
        call = getattr(world.ledger, name)

        def decide(*arguments: Any, **options: Any) -> Any:
            failing[name] -= 1
            if failing[name] >= 0:
                raise RedisAway("away")
            return call(*arguments, **options)

        return decide

    for name in failing:
        monkeypatch.setattr(world.ledger, name, sometimes(name))
    with going_on(world.ledger, raw):
        until(lambda: all(left < 0 for left in failing.values()) and queued(world) == 1)
    world.work()
    assert world.states(run)[1] == "sent"


def test_it_shows_that_it_is_alive(world: World, raw: Redis) -> None:
    """The ledger's tick, and the heartbeat that RQ's tools look for."""
    world.redis.delete("eg:tick")
    with going_on(world.ledger, raw):
        until(lambda: world.redis.get("eg:tick") == str(world.clock.now))
        until(lambda: bool(world.redis.keys("rq:scheduler_instance:*") or world.redis.keys("rq:scheduler:*")))


def test_a_missing_right_is_logged_once(world: World, raw: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis's user (ACL) lacks a command of the audit, beside which all else goes on."""
    logger = structlog.testing.CapturingLogger()
    monkeypatch.setattr(release, "_logger", logger)
    with going_on(world.ledger, raw):
        with forbidding(world.redis, "dbsize"):
            until(lambda: len(logger.calls) == 1)
            world.sign_up()
            until(lambda: queued(world) == 1)
        until(lambda: len(logger.calls) == 2)
    assert [call.args[0] for call in logger.calls] == ["redis.unavailable", "redis.back"]
    assert "does not let its user run DBSIZE" in logger.calls[0].kwargs["why"]
