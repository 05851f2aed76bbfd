"""Migrations: run once, in order, by one process; one that breaks off continues; nothing of an older release works on
what they changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from rq import Queue

from scheduler.rq_schedule import QUEUE, Job, Schedule
from scheduler.worker import Worker
from shared.core.errors import LedgerTooNew, MigrationError
from shared.ledger import ids, migrations, version
from shared.ledger.client import Ledger
from shared.ledger.migrations import AT_WORK, LOCK, MIGRATIONS, Migration, migrate, waiting
from shared.ledger.version import VERSION
from tests.support.world import World

LAST = 5


class Slices:
    """A made-up migration: LAST slices, each of which changes two things, and what it is to do between them.

    Attributes:
        seen: the cursors that it was given.
        meanwhile: called before each slice.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.seen: list[int] = []
        self.meanwhile: Callable[[Ledger, int], object] = lambda ledger, cursor: None

    def __call__(self, ledger: Ledger, cursor: int) -> tuple[int, int]:
        self.meanwhile(ledger, cursor)
        self.seen.append(cursor)
        return (cursor + 1 if cursor < LAST else 0), 2

    @property
    def migration(self) -> Migration:
        """As the release has it."""
        return Migration(self.number, f"made up, number {self.number}", self)


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch, ledger: Ledger) -> Slices:
    """The next release knows a ledger of version 2, and a migration to it; the ledger here is of version 1."""
    ledger.redis.set(ids.VERSION, 1)
    slices = Slices(2)
    knows(monkeypatch, slices)
    return slices


def knows(monkeypatch: pytest.MonkeyPatch, *slices: Slices) -> None:
    """What a program that starts from here on knows."""
    monkeypatch.setattr(version, "VERSION", slices[-1].number)
    monkeypatch.setattr(migrations, "MIGRATIONS", tuple(each.migration for each in slices))


def newer(ledger: Ledger) -> Ledger:
    """The program of that release."""
    return Ledger(ledger.redis, clock=ledger.now)


def test_migration_numbers_are_consecutive() -> None:
    """From 2, which is the first, to this release's version: no ledger is left without its way here."""
    assert [migration.number for migration in MIGRATIONS] == list(range(2, VERSION + 1))


def test_a_new_ledger_needs_no_migration(ledger: Ledger, redis: Redis) -> None:
    """It has this version; migrating it does nothing, before something is stored and afterwards."""
    for mark in (None, str(VERSION)):
        assert (waiting(ledger), list(migrate(ledger)), redis.get(ids.VERSION)) == ([], [], mark)
        assert redis.exists(AT_WORK, LOCK) == 0
        ledger.release()


def test_migrations_run_once_and_in_order(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the oldest ledger to the newest; running them again does nothing. A ledger in between gets the rest."""
    second, third = Slices(2), Slices(3)
    knows(monkeypatch, second, third)
    program = newer(ledger)
    ledger.redis.set(ids.VERSION, 1)
    assert waiting(program) == [second.migration, third.migration]
    found = [(each.migration.number, each.changed) for each in migrate(program) if each.done]
    assert found == [(2, 2 * (LAST + 1)), (3, 2 * (LAST + 1))]
    assert [second.seen, third.seen] == [list(range(LAST + 1))] * 2
    assert (program.version(), waiting(program), list(migrate(program))) == (3, [], [])
    ledger.redis.set(ids.VERSION, 2)
    assert [each.migration.number for each in migrate(program) if each.done] == [3]


def test_an_older_program_refuses_from_the_first_slice(second: Slices, ledger: Ledger) -> None:
    """Its functions have no heartbeat, so it must not meet a ledger that is half changed; nor afterwards."""
    refused: list[int] = []

    def ask(_ledger: Ledger, cursor: int) -> None:
        with pytest.raises(LedgerTooNew):
            ledger.release()
        refused.append(cursor)

    ledger.release()
    second.meanwhile = ask
    list(migrate(newer(ledger)))
    assert refused == list(range(LAST + 1))
    with pytest.raises(LedgerTooNew, match="the ledger has version 2"):
        ledger.release()


def breaks_at(slices: Slices, cursor: int) -> None:
    """Die once at a slice."""

    def die(_ledger: Ledger, at: int) -> None:
        if at == cursor:
            slices.meanwhile = lambda ledger, cursor: None
            raise KeyboardInterrupt

    slices.meanwhile = die


@pytest.mark.parametrize("cursor", range(LAST + 1))
def test_an_interrupted_migration_resumes(second: Slices, ledger: Ledger, cursor: int) -> None:
    """Wherever it was: no slice is skipped, and earlier work is counted. Until then it is reported as waiting."""
    breaks_at(second, cursor)
    program = newer(ledger)
    with pytest.raises(KeyboardInterrupt):
        list(migrate(program))
    assert (waiting(program), migrations.broke_off(program)) == ([second.migration], 2)
    program.release()
    (done,) = [each for each in migrate(program) if each.done]
    assert second.seen == list(range(LAST + 1))
    assert done.changed == 2 * (LAST + 1)
    assert (waiting(program), program.redis.exists(AT_WORK, LOCK)) == ([], 0)


def test_a_migration_starts_over_after_a_redis_restart(second: Slices, ledger: Ledger) -> None:
    """The SCAN cursor is no longer valid; a slice may be done twice, and none is skipped."""
    breaks_at(second, 3)
    program = newer(ledger)
    with pytest.raises(KeyboardInterrupt):
        list(migrate(program))
    program.redis.hset(AT_WORK, "server", "of the start before")
    list(migrate(program))
    assert second.seen == [0, 1, 2, *range(LAST + 1)]


def test_two_migrations_at_once_do_no_harm(second: Slices, ledger: Ledger) -> None:
    """The second gets an error; when the first has died, the next one continues."""
    program, told = newer(ledger), []

    def another(_ledger: Ledger, cursor: int) -> None:
        with pytest.raises(MigrationError, match="another process"):
            list(migrate(program))
        told.append(cursor)

    second.meanwhile = another
    assert [each.done for each in migrate(program)] == [False] * LAST + [True]
    assert told == second.seen == list(range(LAST + 1))


def test_a_slow_process_leaves_the_migration_to_its_successor(
    second: Slices, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that slept in a slice for longer than its lock holds does not overwrite the cursor of its successor."""
    program, other = newer(ledger), Slices(2)

    def sleep(_ledger: Ledger, cursor: int) -> None:
        if cursor == 2:
            ledger.redis.delete(LOCK)  # as when it ran out
            knows(monkeypatch, other)
            list(migrate(program))

    second.meanwhile = sleep
    with pytest.raises(MigrationError, match="Run it again"):
        list(migrate(program))
    assert other.seen == [2, 3, 4, 5]
    assert (program.version(), program.redis.exists(AT_WORK, LOCK)) == (2, 0)


class TestHeartbeats:
    """Nothing is migrated while a program of an older release is at work."""

    @pytest.fixture
    def old(self, second: Slices, ledger: Ledger) -> Ledger:
        """A ledger of this version, in the hands of the next release."""
        return newer(ledger)

    @pytest.fixture
    def workers(self, raw: Redis, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Worker]:
        """A real worker with its heartbeat, of the release that knows this version."""

        def worker(version: int) -> Worker:
            monkeypatch.setattr("scheduler.worker.VERSION", version)
            found = Worker([Queue(QUEUE, connection=raw, job_class=Job)], connection=raw, job_class=Job)
            found.register_birth()
            found.heartbeat()
            return found

        return worker

    def blocked_by(self, ledger: Ledger) -> str:
        """What the refusal says; nothing was changed then."""
        with pytest.raises(MigrationError, match="these programs of an older release") as refusal:
            list(migrate(ledger))
        assert (ledger.redis.get(ids.VERSION), ledger.redis.exists(AT_WORK, LOCK)) == ("1", 0)
        return str(refusal.value)

    @pytest.mark.parametrize("says", [{}, {ids.KNOWS: "1"}])
    def test_an_older_worker_blocks_a_migration(self, old: Ledger, says: dict[str, str]) -> None:
        """One that says an older version, or none; it is named, and once it is gone it no longer blocks."""
        old.redis.sadd(ids.WORKERS, "rq:worker:box-1", "rq:worker:gone")
        # text to text
        old.redis.hset("rq:worker:box-1", mapping=dict.fromkeys(("birth", "last_heartbeat"), "now") | says)  # type: ignore[arg-type]
        assert "worker box-1." in self.blocked_by(old)
        old.redis.delete("rq:worker:box-1")  # it expires by itself
        assert list(migrate(old))

    def test_an_older_scheduler_blocks_a_migration(self, old: Ledger) -> None:
        """The same for rq-scheduler's heartbeat."""
        old.redis.hset("rq:scheduler_instance:abc", "birth", "now")
        assert "scheduler abc." in self.blocked_by(old)
        old.redis.hset("rq:scheduler_instance:abc", "death", "now")
        assert list(migrate(old))

    def test_programs_of_the_next_release_do_not_block_it(
        self, old: Ledger, raw: Redis, workers: Callable[[int], Worker], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Their real heartbeats say which ledger they know, and RQ's own tools still read them."""
        monkeypatch.setattr("scheduler.rq_schedule.VERSION", 2)
        Schedule(old, raw).heartbeat()
        worker = workers(2)
        (found,) = Worker.all(connection=raw, job_class=Job)
        assert found.name == worker.name
        assert raw.hget(worker.key, ids.KNOWS) == b"2"
        assert list(migrate(old))

    def test_programs_of_this_release_block_it(self, old: Ledger, raw: Redis, workers: Callable[[int], Worker]) -> None:
        """As they are: each says that it knows this version, and is named."""
        Schedule(old, raw).heartbeat()
        worker = workers(VERSION)
        said = self.blocked_by(old)
        assert f"worker {worker.name}." in said and "scheduler " in said

    def test_a_worker_whose_hash_expired_announces_its_version_again(
        self, old: Ledger, raw: Redis, workers: Callable[[int], Worker]
    ) -> None:
        """As after its machine slept: it is not mistaken for an older one."""
        worker = workers(2)
        raw.delete(worker.key)
        worker.heartbeat()
        assert list(migrate(old))


def test_sign_ups_and_emails_continue_during_a_migration(second: Slices, ledger: Ledger, world: World) -> None:
    """What arrives between two slices is accepted: a migration stops nothing in its own release."""
    program = World(newer(ledger), world.clock)
    signed: list[Any] = []
    second.meanwhile = lambda _ledger, cursor: signed.append(program.sign_up(email=f"p{cursor}@example.org"))
    list(migrate(program.ledger))
    program.work()
    assert [program.states(run)[0] for run in signed] == ["sent"] * (LAST + 1)
