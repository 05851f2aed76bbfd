# mypy: ignore-errors
# Runs in a virtual environment of its own, whose packages the project's lacks.
"""Celery on Redis: a task with an ETA for each email."""

from datetime import UTC, datetime

import work
from celery import Celery

app = Celery("peer", broker=work.REDIS_URL, backend=None)
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)


@app.task(name="send")
def send(customer, step, due):
    """One email."""
    work.send(customer, step, due)


def enroll(customer, dues):
    """Schedule a customer's emails."""
    for step, due in enumerate(dues, 1):
        send.apply_async((customer, step, due), eta=datetime.fromtimestamp(due, UTC))
