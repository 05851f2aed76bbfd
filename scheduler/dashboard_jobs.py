"""What rq-dashboard reads from Redis: one page at a time, as JSON, from both schedules, without changing anything."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from redis import Redis
from rq import Queue, Worker, registry
from rq.exceptions import NoSuchJobError
from rq.job import Job as RQJob
from rq.results import Result
from rq.utils import as_text

from scheduler.rq_schedule import QUEUE, Job
from shared.ledger import ids

QUEUES = (QUEUE, "record", "notify")
UNREADABLE = "this job cannot be read"


class ShownJob(Job):
    """A job for display: function and arguments are never deserialized; the description is enough."""

    def get_call_string(self) -> str:
        """What the job does."""
        return self.description or UNREADABLE

    def get_meta(self, refresh: bool = True) -> dict[str, Any]:
        """Nothing: our jobs have no metadata, and a foreign job's is not read."""
        return {}

    def restore(self, raw_data: dict[bytes, bytes]) -> None:
        """Load a hash from Redis; raises NoSuchJobError if it is not a job."""
        try:
            super().restore(raw_data)
        except (ValueError, TypeError) as error:
            raise NoSuchJobError(UNREADABLE) from error

    def latest_result(self, timeout: int = 0) -> Result | None:
        """The result of its last run; None if it is not JSON."""
        try:
            return super().latest_result(timeout)
        except ValueError:
            return None


class ShownQueue(Queue):
    """A queue; by default, the emails' queue."""

    job_class = ShownJob

    def __init__(self, name: str = QUEUE, *args: Any, **options: Any) -> None:
        super().__init__(name, *args, **options)

    @classmethod
    def all(cls, connection: Redis, *_args: Any, **_options: Any) -> list[Queue]:
        """Ours, even before their first job, and any others known to RQ."""
        known = {
            str(as_text(key)).removeprefix(cls.redis_queue_namespace_prefix)
            for key in connection.smembers(cls.redis_queues_keys)
        }
        return [cls(name, connection=connection) for name in (*QUEUES, *sorted(known - {*QUEUES}))]


class ShownWorker(Worker):
    """A worker, busy or idle."""

    job_class = ShownJob
    queue_class = ShownQueue

    def get_current_job(self) -> RQJob | None:
        """What it works on; None if idle, or if the job has just ended."""
        try:
            return super().get_current_job()
        except NoSuchJobError:
            return None


class Schedules(registry.ScheduledJobRegistry):
    """rq-scheduler's schedule, whose jobs are all for the emails' queue, then RQ's own, which Evergreen leaves
    empty."""

    @property
    def keys(self) -> list[str]:
        """The sorted sets, in order."""
        return [ids.SCHEDULED, self.key] if self.name == QUEUE else [self.key]

    def get_job_count(self, cleanup: bool = True) -> int:
        """How many are scheduled."""
        return sum(int(self.connection.zcard(key)) for key in self.keys)


REGISTRIES: dict[str, type[registry.BaseRegistry]] = {
    "failed": registry.FailedJobRegistry,
    "deferred": registry.DeferredJobRegistry,
    "started": registry.StartedJobRegistry,
    "finished": registry.FinishedJobRegistry,
    "scheduled": Schedules,
    "canceled": registry.CanceledJobRegistry,
}


def page(queue: str, listing: str, offset: int, count: int, order: str, connection: Redis) -> tuple[int, list[Job]]:
    """One page of a queue's jobs; the cost does not grow with the other pages.

    Args:
        queue: its name.
        listing: `queued`, or one of REGISTRIES.
        offset: jobs before the page.
        count: jobs on it at most.
        order: `asc`, or `dsc` for last first.
        connection: a client that does not decode.

    Returns:
        The total number of jobs, and those of the page; expired jobs are left out, unreadable ones are marked.
    """
    if listing == "queued":
        total, names = _queued(Queue(queue, connection=connection, job_class=Job).key, offset, count, order, connection)
        return total, _jobs([(name, None) for name in names], connection)
    found = REGISTRIES[listing](queue, connection=connection)
    keys = found.keys if isinstance(found, Schedules) else [found.key]
    total, entries = _registered(keys, offset, count, order, connection)
    timed = isinstance(found, Schedules)
    return total, _jobs(
        [(found.parse_job_id(cast(Any, name)), score if timed else None) for name, score in entries], connection
    )


def _registered(
    keys: list[str], offset: int, count: int, order: str, connection: Redis
) -> tuple[int, list[tuple[bytes, float]]]:
    """The total and one page of several sorted sets, one after the other."""
    entries: list[tuple[bytes, float]] = []
    total = 0
    for key in reversed(keys) if order == "dsc" else keys:
        size = int(connection.zcard(key))
        start, wanted = max(0, offset - total), count - len(entries)
        if wanted and start < size:
            entries += cast(
                Any, connection.zrange(key, start, start + wanted - 1, desc=order == "dsc", withscores=True)
            )
        total += size
    return total, entries


def _queued(key: str, offset: int, count: int, order: str, connection: Redis) -> tuple[int, list[str]]:
    first, last = (-offset - count, -offset - 1) if order == "dsc" else (offset, offset + count - 1)
    names = [str(as_text(name)) for name in cast(list[bytes], connection.lrange(key, first, last))]
    return int(connection.llen(key)), names[::-1] if order == "dsc" else names


def _jobs(entries: list[tuple[str, float | None]], connection: Redis) -> list[Job]:
    pipe = connection.pipeline(transaction=False)
    for name, _ in entries:
        pipe.hgetall(ShownJob.key_for(name))
    return [_job(name, due, raw, connection) for (name, due), raw in zip(entries, pipe.execute(), strict=True) if raw]


def _job(name: str, due: float | None, raw: dict[bytes, bytes], connection: Redis) -> Job:
    try:
        job = ShownJob(name, connection=connection)
        job.restore(raw)
    except (NoSuchJobError, ValueError):  # the latter for an id that no job can have
        job = ShownJob("unreadable", connection=connection)
        job.description = UNREADABLE
    if due is not None:
        job.description = f"{job.description}, due {datetime.fromtimestamp(due, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return job
