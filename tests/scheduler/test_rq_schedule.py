"""rq-scheduler's and RQ's own tools must understand what our scripts write, and must not be able to get past the
ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from rq import Queue
from rq.exceptions import DeserializationError
from rq.job import JobStatus
from rq.utils import import_attribute

from scheduler import jobs
from scheduler.rq_schedule import ALLOWED, QUEUE, Job, Schedule
from shared.core.errors import ScheduleError
from shared.ledger import ids
from shared.ledger.client import Ledger
from tests.support.world import World


@pytest.fixture
def schedule(ledger: Ledger, raw: Redis) -> Schedule:
    return Schedule(ledger, raw)


def test_the_schedule_reads_like_rq_schedulers(world: World, schedule: Schedule) -> None:
    """count and get_jobs show what enroll scheduled, with the right function, arguments and time, and change
    nothing."""
    run = world.sign_up()
    assert schedule.count() == 6
    found = list(schedule.get_jobs(with_times=True))
    job, at = found[0]
    assert (job.func_name, job.args, job.origin, job.timeout) == ("scheduler.jobs.send_step", [run, 2], QUEUE, 30)
    assert job.get_status() is JobStatus.SCHEDULED
    assert at.replace(tzinfo=UTC) == datetime.fromtimestamp(world.clock.now / 1000, UTC) + timedelta(hours=24)
    world.redis.delete(f"rq:job:{found[1][0].id}")
    assert len(list(schedule.get_jobs())) == 5
    assert schedule.count() == 6


def test_a_released_job_is_a_queued_job_of_rq(world: World, schedule: Schedule, raw: Redis) -> None:
    """RQ fetches it, with well-formed dates, and knows its function by the allowed name."""
    world.sign_up()
    world.work()
    world.clock.advance(hours=24)
    assert schedule.enqueue_jobs() == 1
    (job,) = Queue(QUEUE, connection=raw, job_class=Job).jobs
    assert job.get_status() is JobStatus.QUEUED
    assert job.enqueued_at is not None and job.enqueued_at.timestamp() == pytest.approx(world.clock.now / 1000)
    assert job.func is jobs.send_step
    assert b"rq:queue:send" in raw.smembers("rq:queues")


def test_a_job_whose_hash_was_lost_is_written_again(world: World, schedule: Schedule, raw: Redis) -> None:
    """Release finds the ledger's step, regardless of the job that should wake it."""
    run = world.sign_up()
    world.work()
    first, second = [job.id for job in schedule.get_jobs()][:2]
    world.redis.delete(f"rq:job:{first}")
    world.redis.delete(f"rq:job:{second}")
    world.redis.set(f"rq:job:{second}", "of a wrong type")
    for number in (2, 3):
        world.clock.now = world.run(run).step(number).due
        assert schedule.enqueue_jobs() == 1
        (job,) = Queue(QUEUE, connection=raw, job_class=Job).jobs
        assert (job.get_status(), list(job.args)) == (JobStatus.QUEUED, [run, number])
        world.work()


@pytest.mark.parametrize(
    "instant",
    ["2024-02-29T23:59:59.999", "2026-12-31T00:00:00.000", "2027-03-01T12:00:00.001", "2100-02-28T06:30:15.250"],
)
def test_dates_are_written_as_rq_writes_them(world: World, raw: Redis, instant: str) -> None:
    """The scripts' calendar agrees with Python's, also around leap days."""
    when = datetime.fromisoformat(instant).replace(tzinfo=UTC)
    world.clock.now = round(when.timestamp() * 1000)
    world.sign_up()
    (job,) = Queue(QUEUE, connection=raw, job_class=Job).jobs
    assert job.enqueued_at == when


def test_cancelling_a_job_skips_its_step(world: World, schedule: Schedule) -> None:
    """rq-scheduler's `cancel` decides on the ledger, so that the sweeper does not bring the step back."""
    run = world.sign_up()
    job = next(iter(schedule.get_jobs()))
    schedule.cancel(job)
    assert world.run(run).step(2).state == "skipped"
    assert schedule.count() == 5
    schedule.cancel(f"{run}-3-1")
    assert world.states(run)[1:3] == ["skipped", "skipped"]


def test_nothing_else_gets_on_the_schedule(schedule: Schedule) -> None:
    """Enqueuing past the ledger raises an error."""
    for attempt in (schedule.enqueue_at, schedule.enqueue_in, schedule.schedule, schedule.cron, schedule.enqueue_job):
        with pytest.raises(ScheduleError, match="only the ledger schedules"):
            attempt(None)


def test_a_foreign_function_is_not_run(raw: Redis) -> None:
    """A job whose path is not ours is refused before anything is imported."""
    job = Job.create("os.system", args=["true"], connection=raw, id="evil")
    job.save()
    with pytest.raises(DeserializationError, match="not one of Evergreen's jobs"):
        Job.fetch("evil", connection=raw).perform()


def test_pickle_is_not_read(raw: Redis) -> None:
    """A pickled job, as RQ writes by default, is refused unread."""
    raw.hset("rq:job:pickled", mapping={"data": b"\x80\x04]\x94.", "origin": QUEUE, "status": "queued"})
    with pytest.raises(DeserializationError):
        Job.fetch("pickled", connection=raw).perform()


def test_the_job_path_resolves() -> None:
    """The one crossing by string leads to a function."""
    for path in ALLOWED:
        assert callable(import_attribute(path))


def test_the_heartbeat_shows_and_fades(schedule: Schedule, raw: Redis) -> None:
    """RQ's tools see a scheduler, and stop seeing one that died."""
    schedule.heartbeat()
    assert 0 < raw.ttl(schedule.key) <= 15


def test_two_schedulers_release_each_step_once(world: World, ledger: Ledger) -> None:
    """A look that one of them took is not there for the other."""
    for n in range(3):
        world.sign_up(email=f"p{n}@example.org")
    world.work()
    world.clock.advance(hours=24)
    assert [ledger.release()[0], ledger.release()[0]] == [3, 0]
    assert world.redis.llen(ids.QUEUE) == 3
