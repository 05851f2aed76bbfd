"""Migrations: they convert what an older release stored to what this one stores.

Each has a number, which becomes the ledger's version.

A migration raises the version before its first slice, not after its last. From then on, the scripts of an older release
refuse the ledger, even in a function, which has no heartbeat to check. So none of them meets a ledger that is half
changed. This release reads both forms until the migration is done. As long as `eg:migration` exists, a migration is at
work or was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from redis.exceptions import LockError
from redis.lock import Lock

from shared.core.errors import MigrationError
from shared.ledger import ids
from shared.ledger.client import Ledger

AT_WORK = "eg:migration"  # a hash: number, cursor, changed (so far), server (the start of Redis that gave the cursor)
LOCK = "eg:migration:lock"
LOCK_FOR = 60  # seconds; a slice takes a fraction of one


@dataclass(frozen=True)
class Migration:
    """One change of what is stored.

    Attributes:
        number: the version that it gives the ledger.
        sentence: what is true afterwards, for the person who runs it.
        slice: does part of it, in well under a second, from a cursor (0: the beginning), and returns the next cursor
            (0: it is done) and how many things it changed. Doing it twice must have the same effect as once. A SCAN
            cursor will do.
    """

    number: int
    sentence: str
    slice: Callable[[Ledger, int], tuple[int, int]]


@dataclass(frozen=True)
class Slice:
    """What has been done so far.

    Attributes:
        migration: the migration.
        changed: how many things it has changed since its beginning.
        done: whether it is done.
    """

    migration: Migration
    changed: int
    done: bool


MIGRATIONS: tuple[Migration, ...] = ()  # in order of their numbers; version 1 needs none


def waiting(ledger: Ledger) -> list[Migration]:
    """The migrations that the ledger needs, in order: interrupted ones, and ones that never began. Raises
    LedgerTooNew."""
    version, begun = ledger.version(), broke_off(ledger)
    return [migration for migration in MIGRATIONS if migration.number > version or migration.number == begun]


def broke_off(ledger: Ledger) -> int | None:
    """The number of the migration that is at work or was interrupted, or None."""
    number = ledger.redis.hget(AT_WORK, "number")
    return int(cast(str, number)) if number else None


def older(ledger: Ledger, number: int) -> list[str]:
    """The schedulers and workers at work that cannot read a ledger of this version; one that names no version counts as
    version 1."""
    redis = ledger.redis
    workers = sorted(cast(set[str], redis.smembers(ids.WORKERS)))
    schedulers = sorted(redis.scan_iter(f"{ids.SCHEDULER}*", count=1000))
    pipe = redis.pipeline(transaction=False)
    for key in (*schedulers, *workers):
        pipe.hmget(key, "birth", "last_heartbeat", "death", ids.KNOWS)
    names = [f"scheduler {key.removeprefix(ids.SCHEDULER)}" for key in schedulers]
    names += [f"worker {key.removeprefix(ids.WORKER)}" for key in workers]
    found = zip(names, pipe.execute(), strict=True)
    return [name for name, (*life, knows) in found if _is_at_work(*life) and int(knows or 1) < number]


def _is_at_work(birth: str | None, beat: str | None, death: str | None) -> bool:
    return bool(birth or beat) and not death


def migrate(ledger: Ledger) -> Iterator[Slice]:
    """Run the migrations that the ledger needs, slice by slice; if it needs none, nothing happens.

    Args:
        ledger: the ledger, after a backup.

    Raises:
        MigrationError: if a program of an older release is at work, or another process is migrating this ledger.
        LedgerTooNew: if a newer release uses it.
        RedisError: if Redis does not answer; what was done stays done, and the next run continues from there.
    """
    with _alone(ledger) as lock:
        wanted = waiting(ledger)
        if wanted and (behind := older(ledger, wanted[-1].number)):
            raise MigrationError(
                f"these programs of an older release are at work: {', '.join(behind)}. Stop them, or restart them with "
                "this release; then migrate. A program that was killed leaves this list within two minutes"
            )
        for migration in wanted:
            yield from _run(ledger, migration, lock)


def _run(ledger: Ledger, migration: Migration, lock: Lock) -> Iterator[Slice]:
    cursor, changed = _begin(ledger, migration)
    while True:
        cursor, more = migration.slice(ledger, cursor)
        changed += more
        lock.reacquire()  # a process that has lost it writes no cursor: another one continues
        if not cursor:
            ledger.redis.delete(AT_WORK)
        else:
            ledger.redis.hset(AT_WORK, mapping={"cursor": cursor, "changed": changed})
        yield Slice(migration, changed, done=not cursor)
        if not cursor:
            return


def _begin(ledger: Ledger, migration: Migration) -> tuple[int, int]:
    """Raise the version, and find where to continue.

    After a restart of Redis the keys have another order, so SCAN begins again."""
    server = str(cast(dict[str, str], ledger.redis.info("server"))["run_id"])
    before = cast(dict[str, str], ledger.redis.hgetall(AT_WORK)) if broke_off(ledger) == migration.number else {}
    cursor = int(before["cursor"]) if before.get("server") == server else 0
    changed = int(before.get("changed", 0))
    with ledger.redis.pipeline() as pipe:
        pipe.set(ids.VERSION, migration.number)
        pipe.hset(AT_WORK, mapping={"number": migration.number, "cursor": cursor, "changed": changed, "server": server})
        pipe.execute()
    return cursor, changed


@contextmanager
def _alone(ledger: Ledger) -> Iterator[Lock]:
    lock = ledger.redis.lock(LOCK, timeout=LOCK_FOR, thread_local=False)
    if not lock.acquire(blocking=False):
        raise MigrationError(
            "another process is migrating this ledger. Wait until it ends; if it was killed, wait a minute"
        )
    try:
        yield lock
    except LockError:
        raise MigrationError(
            "a slice took longer than a minute, and another process may have taken over. Run it again"
        ) from None
    finally:
        if lock.owned():
            lock.release()
