# mypy: ignore-errors
# Runs in a virtual environment of its own, whose packages the project's lacks.
"""Dramatiq on Redis: a delayed message for each email.

A dead worker's messages are looked for after 5 s instead of a minute."""

import time

import dramatiq
import work
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(url=work.REDIS_URL, heartbeat_timeout=5000, maintenance_chance=20000))


@dramatiq.actor(max_retries=3, min_backoff=100)
def send(customer, step, due):
    """One email."""
    work.send(customer, step, due)


def enroll(customer, dues):
    """Schedule a customer's emails."""
    for step, due in enumerate(dues, 1):
        send.send_with_options(args=(customer, step, due), delay=max(0, round((due - time.time()) * 1000)))
