"""rq-scheduler with its loop replaced: same keys, same tools, but the ledger releases, in one script, what is still to
be sent.

rq-scheduler 0.14.0 as shipped can send twice when killed between two commands, releases up to half a second early, and
one unreadable job stops all later ones. Here its API reads and cancels; only `enroll` and the ledger's own decisions
add to the schedule. This is the only module that imports rq_scheduler.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NoReturn

from redis import Redis
from rq.exceptions import DeserializationError, NoSuchJobError
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer
from rq_scheduler import Scheduler
from rq_scheduler.utils import from_unix, rationalize_until

from shared.core.errors import ScheduleError
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.version import VERSION

QUEUE = "send"
ALLOWED = frozenset(f"scheduler.jobs.{name}" for name in ("send_step", "confirm", "record", "notify"))


class Job(RQJob):
    """An RQ job as JSON, never pickle, that runs only our own jobs."""

    def __init__(self, id: str | None = None, connection: Redis | None = None, serializer: Any = None) -> None:
        super().__init__(id, connection, JSONSerializer)

    def _deserialize_data(self) -> None:
        super()._deserialize_data()  # type: ignore[no-untyped-call]
        if self._func_name not in ALLOWED:
            raise DeserializationError(f"{self._func_name} is not one of Evergreen's jobs and is not run")


class Schedule(Scheduler):  # type: ignore[misc]  # rq_scheduler has no types
    """The schedule that RQ's tools see.

    Args:
        ledger: decides what a wake-up does.
        connection: a Redis client that does not decode responses, as RQ requires.
    """

    job_class = Job

    def __init__(self, ledger: Ledger, connection: Redis) -> None:
        super().__init__(queue_name=QUEUE, connection=connection, job_class=Job)
        self.ledger = ledger

    def enqueue_jobs(self) -> int:
        """Release all due wake-ups; returns how many went to the queue."""
        return self.ledger.release_all()

    def heartbeat(self) -> None:
        """Report that a scheduler is running, and which ledger it can read; expires 15 seconds after a crash."""
        with self.connection.pipeline() as pipe:
            pipe.hset(self.key, mapping={"birth": time.time(), ids.KNOWS: VERSION})
            pipe.expire(self.key, 15)
            pipe.execute()

    def cancel(self, job: RQJob | str) -> None:
        """Skip the step of this wake-up; deleting only the wake-up is not enough, because the sweeper would find the
        step again."""
        enrollment, step = ids.parse_job_id(job if isinstance(job, str) else job.id)
        self.ledger.skip(enrollment, step, "cancelled on the schedule")

    def get_jobs(
        self, until: Any = None, with_times: bool = False, offset: int | None = None, length: int | None = None
    ) -> Iterator[Any]:
        """The scheduled wake-ups (each with its time, if requested), earliest first; unlike rq-scheduler's own method,
        this changes nothing."""
        found = self.connection.zrangebyscore(
            self.scheduled_jobs_key, 0, rationalize_until(until), withscores=True, start=offset, num=length
        )
        for job_id, score in found:
            try:
                job = self.job_class.fetch(job_id.decode(), connection=self.connection)
            except NoSuchJobError:
                continue
            yield (job, from_unix(score)) if with_times else job

    def _refuse(self, *_args: Any, **_options: Any) -> NoReturn:
        raise ScheduleError("only the ledger schedules: enroll a contact, or change its enrollment")

    enqueue_at = enqueue_in = schedule = cron = enqueue_job = change_execution_time = _refuse
