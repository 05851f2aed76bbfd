# mypy: ignore-errors
# Runs in a virtual environment of its own, whose packages the project's lacks.
"""Huey on Redis: a scheduled task for each email."""

from datetime import datetime

import work
from huey import RedisHuey

huey = RedisHuey("peer", host="127.0.0.1", port=work.REDIS_PORT, results=False, utc=True)


@huey.task()
def send(customer, step, due):
    """One email."""
    work.send(customer, step, due)


def enroll(customer, dues):
    """Schedule a customer's emails."""
    for step, due in enumerate(dues, 1):
        send.schedule((customer, step, due), eta=datetime.fromtimestamp(due))  # Huey takes local times
