"""Processes that race on one Valkey: each can be held before any decision of the ledger, or suspended, and the test
moves their clock."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from typing import Any, cast

from redis import Redis

from local import valkey
from shared.core.errors import SendError, SendFault
from shared.integrations.provider import Accepted
from shared.ledger.client import Ledger
from shared.operations.enrollment_actions import EnrollmentActions
from tests.support.waiting import WITHIN
from tests.support.world import World

_CLOCK, _ACCEPTED, _KNOWN, _FAULTS = "test:clock", "test:accepted", "test:known", "test:faults"
_fork = multiprocessing.get_context("fork")


def meeting_point(parties: int = 2) -> Barrier:
    """Where processes wait for each other, so that they really run at once."""
    return _fork.Barrier(parties)


def connect(server: valkey.Valkey) -> Redis:
    """A client of this process's own."""
    return Redis.from_url(server.url, password=server.password, decode_responses=True)


@dataclass
class SharedClock:
    """The time of all processes, in milliseconds; it stands still until the test moves it."""

    redis: Redis

    @property
    def now(self) -> int:
        return int(cast(str, self.redis.get(_CLOCK)))

    def __call__(self) -> int:
        return self.now

    def set(self, now: int) -> None:
        """It is `now`."""
        self.redis.set(_CLOCK, now)

    def advance(self, *, seconds: float) -> None:
        """Let time pass."""
        self.redis.incrby(_CLOCK, round(seconds * 1000))


@dataclass
class Gate:
    """Where a process waits until the test lets it on.

    Attributes:
        name: whose gate.
        before: the ledger's decision, `provider` or `answer`, before whose first time it waits; empty: nowhere.
    """

    redis: Redis
    name: str
    before: str

    def pass_by(self, what: str) -> None:
        """Called by the process before it does something."""
        if what == self.before:
            self.before = ""
            self.redis.lpush(f"test:at:{self.name}", what)
            assert self.redis.blpop([f"test:go:{self.name}"], WITHIN), f"{self.name} was never let on"


class GatedLedger(Ledger):
    """The ledger, with a gate before its decisions."""

    def __init__(self, redis: Redis, gate: Gate) -> None:
        super().__init__(redis, clock=SharedClock(redis))
        self.gate = gate

    def _decide(self, script: str, order: object, *texts: str) -> Any:
        self.gate.pass_by(script)
        return super()._decide(script, order, *texts)


@dataclass
class SharedProvider:
    """A provider that all processes share.

    It recognizes a key, and meets the faults that the test has laid out: kinds of errors."""

    redis: Redis
    gate: Gate

    def send(self, email: dict[str, Any], *, key: str) -> Accepted:
        """Take one email, once for each key."""
        self.gate.pass_by("provider")
        if fault := cast(str | None, self.redis.lpop(_FAULTS)):
            raise SendError(cast(SendFault, fault), f"the provider said {fault}")
        body = json.dumps(email)
        if self.redis.hsetnx(_KNOWN, key, body):
            self.redis.rpush(_ACCEPTED, next(tag["value"] for tag in email["tags"] if tag["name"] == "email_id"))
        assert self.redis.hget(_KNOWN, key) == body, "the same key with another body"
        self.gate.pass_by("answer")
        return Accepted([f"id-{key}"], None, self.time())

    def time(self) -> int:
        """The shared time."""
        return SharedClock(self.redis).now

    def send_batch(self, emails: list[dict[str, Any]], *, key: str, permissive: bool) -> Accepted:
        """No race here sends a batch."""
        raise AssertionError("a batch")


def world_of(redis: Redis, gate: Gate) -> World:
    """Evergreen, as one process sees it."""
    world = World(GatedLedger(redis, gate), cast(Any, SharedClock(redis)))
    world.sender = replace(world.sender, provider=SharedProvider(redis, gate))
    return world


@dataclass
class Racetrack:
    """The test's own view of it, and the processes it starts."""

    server: valkey.Valkey
    world: World

    @property
    def actions(self) -> EnrollmentActions:
        """The operator's actions."""
        return EnrollmentActions(self.world.ledger, self.world.sender.catalog, self.world.settings)

    @property
    def clock(self) -> SharedClock:
        """The shared clock."""
        return SharedClock(self.world.redis)

    @property
    def accepted(self) -> list[str]:
        """The email ids that the provider took, in order."""
        return cast(list[str], self.world.redis.lrange(_ACCEPTED, 0, -1))

    def fault(self, kind: str) -> None:
        """The next request is answered by an error of this kind."""
        self.world.redis.rpush(_FAULTS, kind)

    def sweep(self) -> None:
        """Two passes, half a minute after the lease: what was lost is found."""
        self.clock.advance(seconds=75)
        self.world.ledger.sweep(self.world.ledger.sweep(())[0])

    def start(self, name: str, work: Callable[[World], object], before: str = "") -> Racer:
        """Start a process; one with `before` is returned once it waits there.

        Args:
            name: what tells it from others.
            work: what it does; what it returns must be JSON.
            before: see Gate.
        """
        racer = Racer(
            self.world.redis, name, _fork.Process(target=_run, args=(self.server, name, work, before), daemon=True)
        )
        racer.process.start()
        if before:
            assert self.world.redis.blpop([f"test:at:{name}"], WITHIN), f"{name} never came to {before}"
        return racer


@dataclass
class Racer:
    """A process."""

    redis: Redis
    name: str
    process: Any  # of the fork context, which has no type of its own

    def go(self) -> None:
        """Let it through its gate."""
        self.redis.lpush(f"test:go:{self.name}", "go")

    def suspend(self) -> None:
        """Take the processor from it, as a sleeping laptop does, and let it through its gate meanwhile."""
        os.kill(self.process.pid, signal.SIGSTOP)
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        self.go()

    def wake(self) -> Any:
        """Give it back, and wait for its end; returns its result."""
        os.kill(self.process.pid, signal.SIGCONT)
        return self.end()

    def finish(self) -> Any:
        """Let it through its gate, and wait for its end; returns its result."""
        self.go()
        return self.end()

    def end(self) -> Any:
        """Wait for its end; returns its result."""
        self.process.join(WITHIN)
        assert self.process.exitcode == 0, f"{self.name} ended with {self.process.exitcode}"
        return json.loads(str(self.redis.get(f"test:result:{self.name}")))


def _run(server: valkey.Valkey, name: str, work: Callable[[World], object], before: str) -> None:
    with connect(server) as redis:
        result = work(world_of(redis, Gate(redis, name, before)))
        redis.set(f"test:result:{name}", json.dumps(result))
