"""The RQ worker: `python -m scheduler.worker send|record|notify`.

One queue per process; SIGTERM finishes the running job."""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep, time
from typing import Any, cast

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.job import Job as RQJob
from rq.timeouts import JobTimeoutException
from rq.utils import as_text, now
from rq.worker import WorkerStatus
from rq.worker_registration import clean_worker_registry, register

from scheduler import jobs
from scheduler.rq_schedule import QUEUE, Job
from shared import services
from shared.core import log
from shared.core.startup import or_exit
from shared.ledger import ids
from shared.ledger.redis_errors import explained, is_denied
from shared.ledger.version import VERSION

NOTIFY = "notify"
MAINTENANCE = 30  # seconds
WORKER_TTL = 45  # seconds; an idle worker returns from its queue 15 seconds sooner
WATCHFUL_TTL = 20
HEARTBEAT = 3.0  # seconds
_logger = log.logger("worker")


class Worker(SimpleWorker):
    """RQ's worker, but quick to return after Redis was unavailable, and without a verdict on jobs whose worker died:
    the ledger checks again by itself.

    RQ makes about twenty writes per job, and each goes to disk. Nothing here depends on them, so only what its tools
    show is written: which worker runs what, and what has failed.

    RQ's own worker waits for an unavailable Redis only while it has no job, and exits if Redis accepts no writes, for
    example when full. This one waits in both cases, wherever RQ's loop uses Redis; its job is dropped, and the ledger
    checks again.
    """

    max_connection_wait_time = 1.0
    _beat = _asked = float("-inf")

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._told: set[str] = set()

    @contextmanager
    def _patient(self) -> Iterator[None]:
        """Drop the current work if Redis is unavailable or accepts no writes, and return when it is back."""
        try:
            yield
        except RedisError as error:
            if not services.is_away(error):
                raise
            self._wait(error, self._appear)

    def _wait(self, error: RedisError, write: Callable[[], Any]) -> None:
        """Wait until Redis accepts this write, or the worker must stop."""
        self._tell(error)
        while not self._stop_requested:
            sleep(self.max_connection_wait_time)
            try:
                write()
            except RedisError as again:
                if not services.is_away(again):
                    raise
                self._meanwhile()
            else:
                if not is_denied(error):
                    _logger.warning("redis.back")
                    self._told.clear()
                return

    def _tell(self, error: RedisError) -> None:
        """Log each reason once: a right that Redis's user lacks is missing every time."""
        if (why := explained(error)) not in self._told:
            _logger.error("redis.unavailable", why=why)
            self._told.add(why)

    def _meanwhile(self) -> None:
        """Called about once a second while Redis accepts no writes."""

    def _appear(self) -> None:
        """Register again: RQ removes a worker that has been silent for long."""
        with self.connection.pipeline() as pipe:
            pipe.hset(self.key, mapping={**self.serialize(), "state": self.get_state()})
            register(self, pipe)
            super().heartbeat(pipeline=pipe)
            pipe.execute()

    def _set_ip_address(self, connection: Redis) -> None:
        """Show where the worker runs, if Redis says so; RQ asks before anything waits for an unavailable Redis."""
        self.ip_address = "unknown"
        with suppress(RedisError):
            super()._set_ip_address(connection)

    def register_birth(self) -> None:
        """Start, as soon as Redis accepts that. RQ would handle SIGTERM only afterwards."""
        self._install_signal_handlers()  # type: ignore[no-untyped-call]  # RQ's
        try:
            super().register_birth()  # type: ignore[no-untyped-call]
        except RedisError as error:
            if not services.is_away(error):
                raise
            self._wait(error, super().register_birth)

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[RQJob, Queue] | None:
        """Wait for a job, and for Redis."""
        while not self._stop_requested:
            with self._patient():
                return super().dequeue_job_and_maintain_ttl(timeout, max_idle_time)
        return None

    def run_maintenance_tasks(self) -> None:
        """Run maintenance; what Redis refuses now is done next time."""
        with self._patient():
            super().run_maintenance_tasks()  # type: ignore[no-untyped-call]

    def set_shutdown_requested_date(self) -> None:
        """Show that the worker is about to stop, if Redis accepts that."""
        with suppress(RedisError):
            super().set_shutdown_requested_date()  # type: ignore[no-untyped-call]

    def register_death(self) -> None:
        """Leave RQ's lists; if Redis does not accept that, the entries expire by themselves."""
        with suppress(RedisError):
            super().register_death()  # type: ignore[no-untyped-call]

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Show that the worker is alive, and which ledger it can read; not before, during and after each job."""
        if monotonic() - self._beat >= HEARTBEAT:
            self._beat = monotonic()
            with self._patient():
                super().heartbeat(timeout, pipeline)
                (self.connection if pipeline is None else pipeline).hset(self.key, ids.KNOWS, str(VERSION))

    def serialize(self) -> dict[Any, Any]:
        """What RQ's list shows of the worker, and which ledger it can read."""
        return {**super().serialize(), ids.KNOWS: str(VERSION)}

    def check_for_suspension(self, burst: bool) -> None:
        """Check for `rq suspend` from time to time."""
        if monotonic() - self._asked >= HEARTBEAT:
            self._asked = monotonic()
            with self._patient():
                super().check_for_suspension(burst)

    def set_state(self, state: str, pipeline: Pipeline | None = None) -> None:
        """Show what the worker does, if that has changed."""
        if state != self._state:
            with self._patient():
                super().set_state(state, pipeline)

    def execute_job(self, job: RQJob, queue: Queue) -> None:
        """Run one job in this process. A job that raises ends on RQ's failed list; others leave nothing behind."""
        with self._patient():
            self._run(job, queue)
        self.executions.clear()

    def _run(self, job: RQJob, queue: Queue) -> None:
        execution: Execution | None = self.prepare_execution(job)
        job.started_at = now()
        try:
            with self.death_penalty_class(job.timeout, JobTimeoutException, job_id=job.id):
                job.func(*job.args, **job.kwargs)
        except Exception as error:  # any error must go on the failed list, unless Redis is unavailable
            if is_denied(error):
                self._tell(cast(RedisError, error))
            elif isinstance(error, RedisError) and services.is_away(error):
                _logger.warning("job.left", job=job.id, why=explained(error))
            else:
                self._fail(job, queue, execution)
                execution = None
        with self.connection.pipeline(transaction=False) as pipe:
            if execution is not None:
                self.cleanup_execution(job, pipe, execution)
                pipe.delete(job.key)
                self.increment_successful_job_count(pipe)
            pipe.lrem(queue.intermediate_queue_key, 1, job.id)
            self.set_state(WorkerStatus.IDLE, pipe)
            pipe.execute()

    def _fail(self, job: RQJob, queue: Queue, execution: Execution | None) -> None:
        job.ended_at = now()
        self.handle_exception(job, *sys.exc_info())
        with self._patient():  # RQ writes this once, and only logs a refusal
            self._appear()
        self.handle_job_failure(job, queue, queue.started_job_registry, traceback.format_exc(), execution)

    def clean_registries(self) -> None:
        """Forget the jobs of dead workers.

        RQ would put them on the failed list, which is for what a person must check."""
        for queue in self.queues:
            _forget_abandoned(queue)
            clean_worker_registry(queue)
            queue.failed_job_registry.cleanup()
        self.last_cleaned_at = now()  # type: ignore[assignment]  # RQ infers None from its first value


class WatchfulWorker(Worker):
    """The worker of `notify`: at each maintenance, every half minute, it also checks what has no job.

    RQ runs maintenance before it waits for a job, and an idle worker waits 15 seconds less than its TTL: hence the
    shorter TTL.

    On a full Redis, RQ cannot work, but the ledger's alerts can still be raised and taken: so it goes on checking.
    """

    _checked = float("-inf")

    def _meanwhile(self) -> None:
        """Check as often as ever: the owner must be told that the ledger is full."""
        if monotonic() - self._checked >= MAINTENANCE:
            self._checked = monotonic()
            with suppress(RedisError):
                jobs.look_around()

    def run_maintenance_tasks(self) -> None:
        """Run maintenance, and check."""
        super().run_maintenance_tasks()
        with self._patient():
            jobs.look_around()


def _forget_abandoned(queue: Queue) -> None:
    started, waiting = queue.started_job_registry, queue.intermediate_queue
    expired = [
        str(as_text(entry)) for entry in cast(list[bytes], queue.connection.zrangebyscore(started.key, 0, time()))
    ]
    for job_id in {entry.split(":")[0] for entry in expired}:
        queue.connection.delete(f"rq:job:{job_id}")
    if expired:
        queue.connection.zrem(started.key, *expired)
    running = set(started.get_job_ids(cleanup=False))
    for job_id in waiting.get_job_ids():
        if job_id not in running and not waiting.set_first_seen(job_id) and waiting.should_be_cleaned_up(job_id):
            queue.connection.delete(f"rq:job:{job_id}")  # regardless of content
            waiting.remove(job_id)


def main(name: str = QUEUE) -> None:
    """Work on one queue until told to stop.

    Args:
        name: the queue.
    """
    with or_exit():
        settings = services.current_settings().require("redis_url", *(["internal_token"] if name == QUEUE else []))
    connection = services.connect(settings, decode=False)
    kind, ttl = (WatchfulWorker, WATCHFUL_TTL) if name == NOTIFY else (Worker, WORKER_TTL)
    queue = Queue(name, connection=connection, job_class=Job)
    worker = kind(
        [queue],
        connection=connection,
        job_class=Job,
        maintenance_interval=MAINTENANCE,
        worker_ttl=ttl,
        log_job_description=False,
    )
    gc.freeze()  # see shared/web/server.py
    with suppress(StopRequested):  # raised where it still waits for Redis
        worker.work(logging_level="WARNING")


if __name__ == "__main__":
    main(*sys.argv[1:2])
