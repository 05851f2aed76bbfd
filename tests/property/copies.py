"""Copies of the ledger in the property test: one behind its fence, one that takes over, and a ledger that has lost its
last second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, cast

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from redis import Redis
from redis.exceptions import RedisError

from shared.integrations.notion import Notion
from shared.integrations.provider import Accepted
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.fence_state import FenceState
from shared.recovery.fence import Fence
from shared.sending.confirmations import Confirmations
from tests.conftest import Clock
from tests.property.snapshots import snapshot
from tests.property.watch import Watch
from tests.property.watched import HOUR
from tests.property.workers import WorkersWork

_COPY = "for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('COPY', key, key, 'DB', ARGV[1], 'REPLACE') end"
OTHERS = "(fence: 0123456789abcdef)"  # the word of another copy
KEPT, STARTED = 1, 2  # the databases of a copy that lies somewhere, and of one that is started beside the ledger


class Tracker:
    """Notion as the fence needs it: a description, and no rows."""

    def __init__(self) -> None:
        self.text = ""

    def database(self, id: str) -> dict[str, Any]:
        """The database, with the fence's word in its description."""
        return {"id": id, "description": [{"plain_text": self.text}]}

    def describe(self, _id: str, text: str) -> None:
        """Write another description."""
        self.text = text

    def data_sources(self, id: str) -> dict[str, str]:
        """Its only one."""
        return {id: ""}

    def schema(self, _source: str) -> dict[str, Any]:
        """No columns."""
        return {}

    def pages(self, _source: str) -> Iterator[Any]:
        """No rows: no ledger is a stranger."""
        return iter(())


class Forbidden:
    """A provider that must not be asked."""

    def send(self, email: dict[str, Any], *, key: str) -> Accepted:
        """Take nothing."""
        raise AssertionError(f"a copy behind its fence sends {key}")

    def send_batch(self, emails: list[dict[str, Any]], *, key: str, permissive: bool) -> Accepted:
        """Take nothing."""
        raise AssertionError(f"a copy behind its fence sends {key}")

    def time(self) -> int | None:
        """Anyone may ask for the time; it does not say."""
        return None


class Copy:
    """Another database of the same server, with a ledger and a clock of its own."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.clock = Clock()
        self.ledger = Ledger(redis, clock=self.clock, durable=True)


@dataclass(frozen=True)
class Kept:
    """A copy that lies somewhere: what had been seen when it was made, how many emails the provider had taken, and when
    keys leave."""

    watch: Watch
    taken: int
    expiry: dict[str, int]


class LedgersGoBack(WorkersWork):
    """The rules with more than one ledger. A copy works where only the provider sees it."""

    elsewhere: Copy  # the database KEPT
    beside: Copy  # the database STARTED

    def __init__(self) -> None:
        super().__init__()
        self.kept: Kept | None = None
        self.tracker = Tracker()

    def fence(self, ledger: Ledger) -> Fence:
        """What asks Notion whether this copy may send."""
        return Fence(ledger, self.rig.settings, cast(Notion, self.tracker), sleep=lambda _: None)

    def take_the_word(self) -> None:
        """This ledger may send, regardless of other copies; a person tries until it works."""
        self.rig.ledger.refusals.coming.clear()
        if self.rig.notion:
            self.fence(self.rig.ledger).claim()
            self.rig.watch.fenced = False

    def look_at_the_word(self, *, a_minute_is_over: bool = False) -> None:
        """What the scheduler does every few seconds."""
        if self.rig.notion:
            if a_minute_is_over:
                self.rig.ledger.refusals.coming.clear()
                FenceState(self.rig.ledger).keep(at="0")
            with suppress(RedisError):
                self.fence(self.rig.ledger).poll()
            self.rig.watch.fenced = FenceState(self.rig.ledger).refusal() is not None

    @precondition(lambda self: not self.rig.watch.unknown)
    @rule()
    def a_copy_is_made(self) -> None:
        self.rig.expiry.take_over()
        self._copy(self.redis, KEPT)
        self.kept = Kept(self.rig.watch.remembered(), len(self.rig.provider.taken), dict(self.rig.expiry.at))
        self.kept.watch.lost |= {worker.id for worker in self.workers}

    @precondition(lambda self: self.rig.notion)
    @rule(hours=st.sampled_from([0, 0, 1.1, 25]), answered=st.booleans(), old=st.booleans())
    def a_copy_is_started_beside_the_ledger(self, hours: float, answered: bool, old: bool) -> None:
        """It sends nothing, not even to try: not before Notion's first answer, nor once that says that another is
        sending."""
        self._copy(self.elsewhere.redis if old and self.kept else self.redis, STARTED)
        self._work_behind_the_fence(self.beside, hours, answered=answered)

    @precondition(lambda self: self.rig.notion and not self.rig.watch.unknown)
    @rule()
    def the_word_changes_hands(self) -> None:
        """Another copy takes over, and a person lets this one take over again; requests that had left are on their
        way."""
        if self.rig.watch.fenced:
            self.take_the_word()
        else:
            self.tracker.text = OTHERS
            self.look_at_the_word(a_minute_is_over=True)

    @precondition(lambda self: self.kept and (self.rig.notion or not self.rig.batches))
    @rule(workers_live=st.booleans())
    def the_ledger_goes_back(self, workers_live: bool) -> None:
        """A replica without the last second is promoted, or a copy takes over: the provider keeps what it has taken
        since."""
        assert self.kept
        if not workers_live:
            self.kill(list(self.workers))
        self.redis.swapdb(0, KEPT)
        self.rig.watch.go_back(self.kept.watch, self.rig.provider.taken[self.kept.taken :])
        self.rig.watch.lost |= {worker.id for worker in self.workers}
        self.rig.expiry.at = self.kept.expiry
        self.rig.expiry.let_go()
        self.kept = None
        if self.rig.notion:
            self.redis.hset(ids.FENCE, "server", "of-the-time-before")
            self.take_the_word()
            self._work_behind_the_fence(self.elsewhere, 0, answered=True)

    def _copy(self, redis: Redis, database: int) -> None:
        (self.elsewhere if database == KEPT else self.beside).redis.flushdb()
        redis.eval(_COPY, 0, str(database))

    def _work_behind_the_fence(self, copy: Copy, hours: float, *, answered: bool) -> None:
        """Some passes of the scheduler and the workers of a copy, whose word is no longer the one in Notion."""
        copy.clock.now = self.rig.clock.now + round(hours * HOUR)
        copy.redis.hset(ids.FENCE, "server", "of-the-time-before")
        if answered:
            self.tracker.text, word = OTHERS, self.tracker.text
            FenceState(copy.ledger).keep(at="0")
            self.fence(copy.ledger).poll()
            self.tracker.text = word
            assert FenceState(copy.ledger).refusal()
        sender = replace(self.rig.sender, ledger=copy.ledger, provider=Forbidden())
        suspects: set[str] = set()
        for _ in range(3):
            copy.ledger.release()
            now = snapshot(copy.redis)
            for look in [*(ids.parse_job_id(job) for job in now.queue), *(ids.parse_email_id(id) for id in now.open)]:
                sender.send(*look)
            Confirmations(copy.ledger, Forbidden(), self.rig.settings, lambda _: None).ask()
            suspects, _ = copy.ledger.sweep(suspects)
            copy.clock.advance(seconds=61)
