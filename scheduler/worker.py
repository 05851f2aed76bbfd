"""The RQ worker: `python -m scheduler.worker send|record`. One queue per process; SIGTERM finishes the running job."""

from __future__ import annotations

import sys
from datetime import timedelta
from time import time
from typing import cast

from rq import Queue, SimpleWorker
from rq.exceptions import NoSuchJobError
from rq.utils import as_text, now
from rq.worker_registration import clean_worker_registry

from shared import services
from shared.schedule import QUEUE, Job

ABANDONED_AFTER = timedelta(minutes=1)


class Worker(SimpleWorker):
    """RQ's worker, back soon after Redis was away, and without a verdict on jobs whose worker died: the ledger looks again by itself."""

    max_connection_wait_time = 1.0

    def clean_registries(self) -> None:
        """Forget the jobs of dead workers. RQ would put them into the failed list, which is for what a person must look at."""
        for queue in self.queues:
            _forget_abandoned(queue)
            clean_worker_registry(queue)
        self.last_cleaned_at = now()  # type: ignore[assignment]  # RQ infers None from its first value


def _forget_abandoned(queue: Queue) -> None:
    started, waiting = queue.started_job_registry, queue.intermediate_queue
    expired = [str(as_text(entry)) for entry in cast(list[bytes], queue.connection.zrangebyscore(started.key, 0, time()))]
    for job_id in {entry.split(":")[0] for entry in expired}:
        _delete(queue, job_id)
    if expired:
        queue.connection.zrem(started.key, *expired)
    running = set(started.get_job_ids(cleanup=False))
    for job_id in waiting.get_job_ids():
        if job_id not in running and not waiting.set_first_seen(job_id) and waiting.should_be_cleaned_up(job_id):
            _delete(queue, job_id)
            waiting.remove(job_id)


def _delete(queue: Queue, job_id: str) -> None:
    try:
        Job.fetch(job_id, connection=queue.connection).delete()
    except NoSuchJobError:
        return


def main(name: str = QUEUE) -> None:
    """Work on one queue until told to stop.

    Args:
        name: the queue.
    """
    settings = services.current_settings()
    settings.require("internal_token")
    connection = services.connect(settings, decode=False)
    queue = Queue(name, connection=connection, job_class=Job)
    worker = Worker([queue], connection=connection, job_class=Job, maintenance_interval=30, worker_ttl=45, log_job_description=False)
    worker.work(logging_level="WARNING")


if __name__ == "__main__":
    main(*sys.argv[1:2])
