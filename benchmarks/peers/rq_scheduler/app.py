# mypy: ignore-errors
# Runs in a virtual environment of its own, whose packages the project's lacks.
"""rq-scheduler and RQ as they come: a scheduled job for each email."""

from datetime import UTC, datetime

import work
from redis import Redis
from rq_scheduler import Scheduler

scheduler = Scheduler(queue_name="default", connection=Redis.from_url(work.REDIS_URL))


def send(customer, step, due):
    """One email."""
    work.send(customer, step, due)


def enroll(customer, dues):
    """Schedule a customer's emails."""
    for step, due in enumerate(dues, 1):
        scheduler.enqueue_at(datetime.fromtimestamp(due, UTC).replace(tzinfo=None), send, customer, step, due)
