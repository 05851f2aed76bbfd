"""Health: whether emails are going out, decided in one place.

The function `health`, the console, doctor and the alerts all read it here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from redis.exceptions import ResponseError

from shared.ledger import ids, notion_columns
from shared.ledger.client import Ledger
from shared.ledger.fence_state import why_fenced
from shared.ledger.redis_errors import is_denied
from shared.ledger.version import too_new

SILENT_AFTER = 15_000  # milliseconds without a tick of the scheduler
OVERDUE_AFTER = 60_000  # milliseconds that a wake-up may be late
SAMPLE = 50  # active enrollments that are audited at each look
MEMORY_LOW = 0.7  # of maxmemory
NO_ROOM = 0.9  # of maxmemory, as in lua/visits.lua
ONE_WRITE = 131_072  # bytes that a request's own buffers may take: with less, Redis refuses writes
BEHIND = 100  # more changes than this waiting for Notion are worth reporting


class Problem(StrEnum):
    """What is wrong, the most serious first."""

    TOO_NEW = "too-new"  # a newer release uses the ledger, and this program makes no decisions on it
    FULL = "full"  # Redis is at its maxmemory: nothing new is accepted or sent; what ends, stops or settles works
    STOPPED = "stopped"  # a person, a refused key or an exhausted quota holds back all sending
    NO_INFO = "no-info"  # Redis's user (ACL) may not run INFO: its memory and its restarts are unknown
    FENCED = "fenced"  # another copy of this ledger may be sending
    SILENT = "silent"  # the scheduler releases nothing
    OVERDUE = "overdue"  # an email is due, and has not been looked at
    UNLISTED = "unlisted"  # an email is on no list, and nothing would look at it
    NO_SENDER = "no-sender"  # no worker takes from the queue `send`
    NO_RECORDER = "no-recorder"  # no worker takes from the queue `record`
    FIRST_EMAILS = "first-emails"  # too many first emails to unproved addresses bounced, and no more of them leave
    NO_ROOM = "no-room"  # nine tenths of the memory are used: forms that nothing proves are refused, all else goes on
    MEMORY = "memory"  # it will be full soon
    NOTION = "notion"  # a database or a column of the owner's lacks what Evergreen needs
    BEHIND = "behind"  # the workers of `record` are at work, but Notion is behind


@dataclass(frozen=True)
class Health:
    """The ledger at one instant.

    Attributes:
        tick_age: milliseconds since the scheduler's last tick; None if there was none.
        overdue: milliseconds by which the oldest wake-up is late.
        unlisted: emails that are on no list, in a random sample of active enrollments (in a small ledger, all of them).
            It misses most losses that affect few of many enrollments, and emails that are being sent in one that ended.
            The scheduler's audit of all enrollments finds each within about an hour; doctor and verify find them when
            you run them.
        scheduled: wake-ups on the schedule.
        queued: jobs on the queue `send`.
        workers: the workers of each queue.
        outbox: changes not yet recorded in Notion.
        gate: why all sending is stopped, or None.
        fence: why this copy of the ledger may not send, or None.
        version: the ledger's; None if no ledger has been started yet.
        memory: bytes of Redis that count towards its maxmemory.
        memory_limit: that maxmemory; 0 if there is none.
        first_emails_stopped: whether first emails to unproved addresses wait for a person.
        held: sign-ups that wait for a confirmation.
        no_info: whether Redis's user may not run INFO: memory is unknown, and a fence that is on lets nothing go.
        notion: what is wrong with the owner's databases in Notion, in a sentence each.
    """

    tick_age: int | None
    overdue: int
    unlisted: int
    scheduled: int
    queued: int
    workers: dict[str, int]
    outbox: int
    gate: str | None
    fence: str | None
    version: str | None
    memory: int = 0
    memory_limit: int = 0
    first_emails_stopped: bool = False
    held: int = 0
    no_info: bool = False
    notion: tuple[str, ...] = ()

    @property
    def memory_used(self) -> float:
        """The share of maxmemory that is used; 0 if there is no limit."""
        return self.memory / self.memory_limit if self.memory_limit else 0.0

    @property
    def full(self) -> bool:
        """Whether Redis accepts nothing new, for want of memory."""
        return bool(self.memory_limit) and self.memory + ONE_WRITE > self.memory_limit

    @property
    def problems(self) -> list[Problem]:
        """What is wrong, the most serious first."""
        wrong = {
            Problem.TOO_NEW: too_new(self.version),
            Problem.FULL: self.full,
            Problem.STOPPED: self.gate is not None,
            Problem.NO_INFO: self.no_info,
            Problem.FENCED: self.fence is not None and not self.no_info,
            Problem.SILENT: self.tick_age is None or self.tick_age > SILENT_AFTER,
            Problem.OVERDUE: self.overdue > OVERDUE_AFTER,
            Problem.UNLISTED: self.unlisted > 0,
            Problem.NO_SENDER: not self.workers["send"],
            Problem.NO_RECORDER: not self.workers["record"],
            Problem.FIRST_EMAILS: self.first_emails_stopped,
            Problem.NO_ROOM: self.memory_used > NO_ROOM and not self.full,
            Problem.MEMORY: MEMORY_LOW <= self.memory_used <= NO_ROOM and not self.full,
            Problem.NOTION: bool(self.notion),
            Problem.BEHIND: self.outbox > BEHIND
            and bool(self.workers["record"])
            and self.fence is None,  # else it waits for the fence
        }
        return [problem for problem, is_there in wrong.items() if is_there]


def read_health(ledger: Ledger) -> Health:
    """Check the ledger in four round trips, regardless of its size; changes nothing.

    Raises:
        RedisError: when Redis does not answer.
    """
    pipe = ledger.redis.pipeline(transaction=False)
    pipe.get(ids.VERSION)
    pipe.get(ids.TICK)
    pipe.zrange(ids.OPEN, 0, 0, withscores=True)
    pipe.zrandmember(ids.ACTIVE, SAMPLE)
    pipe.zcard(ids.SCHEDULED)
    pipe.llen(ids.QUEUE)
    for queue in ids.QUEUES:
        pipe.scard(ids.workers_key(queue))
    pipe.zcard(ids.OUTBOX)
    pipe.hget(ids.GATE, "reason")
    pipe.hgetall(ids.FENCE)
    pipe.exists(ids.FIRSTS_STOPPED)
    pipe.zcard(ids.HELD)
    pipe.hvals(notion_columns.TROUBLES)
    version, tick, first, sample, scheduled, queued, *workers = (answers := pipe.execute())[:-6]
    outbox, gate, fence, stopped, held, notion = answers[-6:]
    info = _info(ledger)
    now = ledger.now()
    return Health(
        tick_age=now - int(tick) if tick else None,
        overdue=max(0, now - int(first[0][1])) if first else 0,
        unlisted=0 if too_new(version) else len(ledger.audit(sample)),
        scheduled=scheduled,
        queued=queued,
        workers=dict(zip(ids.QUEUES, workers, strict=True)),
        outbox=outbox,
        gate=gate,
        fence=why_fenced(fence, info.get("run_id", "")),
        version=version,
        memory=_counted(info),
        memory_limit=int(info.get("maxmemory", 0)),
        first_emails_stopped=bool(stopped),
        held=held,
        no_info=not info,
        notion=tuple(sorted(notion)),
    )


def _info(ledger: Ledger) -> dict[str, Any]:
    """Of the server and its memory; empty if Redis's user may not run INFO."""
    try:
        return ledger.redis.info("server", "memory")
    except ResponseError as error:
        if is_denied(error):
            return {}
        raise


def _counted(memory: dict[str, Any]) -> int:
    """The bytes that Redis holds against its maxmemory: not the buffers for replicas and for its log."""
    return int(memory.get("used_memory", 0)) - int(memory.get("mem_not_counted_for_evict", 0))
