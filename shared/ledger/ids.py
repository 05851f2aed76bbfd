"""Ids and keys: the only place in Python that knows how they are made. None of them contains an address."""

from __future__ import annotations

import hashlib
import re

OPEN = "eg:open"
ACTIVE = "eg:in:active"
GATE = "eg:gate"
FENCE = "eg:fence"
OUTBOX = "eg:outbox"
NOTICES, LEADS = "eg:notices", "eg:notices:leads"  # what waits to be told to the owner: alerts, and leads
TICK = "eg:tick"
VERSION = "eg:version"
HELD = "eg:held"
UNUSED = "eg:unused"  # is never there
FIRSTS_STOPPED = "eg:firsts:stopped"
SCHEDULED = "rq:scheduler:scheduled_jobs"
WORKERS, WORKER = "rq:workers", "rq:worker:"  # RQ's list of its workers, and the prefix of each worker's hash
SCHEDULER = "rq:scheduler_instance:"  # the prefix of each rq-scheduler's hash
KNOWS = "ledger"  # the field of these where a process names the newest version of the ledger that it can read
QUEUES = ("send", "record", "notify")  # each has its own workers
QUEUE = "rq:queue:send"
FAILED = "rq:failed:send"

_JOB = re.compile(r"(.+)-(\d+)-(\d+)")
_EMAIL = re.compile(r"(.+)-(\d+)")


def digest(text: str) -> str:
    """The 20 hex digits that stand for an address or an event key."""
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def enrollment_prefix(slug: str, subject: str) -> str:
    """The start of an enrollment's id; its number follows.

    Args:
        slug: the campaign.
        subject: the address, or the event key of a per-event campaign.
    """
    return f"{slug}-{digest(subject)}"


def email_id(enrollment: str, step: int) -> str:
    """The id of a step's email: its idempotency key and its tag."""
    return f"{enrollment}-{step}"


def parse_email_id(text: str) -> tuple[str, int]:
    """The enrollment and the step that an email id names; raises ValueError for any other text."""
    if not (match := _EMAIL.fullmatch(text)):
        raise ValueError("not an email id")
    return match[1], int(match[2])


def parse_job_id(text: str) -> tuple[str, int]:
    """The enrollment and the step that a job id names; raises ValueError for any other text."""
    if not (match := _JOB.fullmatch(text)):
        raise ValueError("not one of our job ids")
    return match[1], int(match[2])


def enrollment_key(enrollment: str) -> str:
    """Where an enrollment's hash is kept."""
    return f"eg:enrollment:{enrollment}"


def workers_key(queue: str) -> str:
    """Where RQ lists the workers of a queue."""
    return f"rq:workers:{queue}"


def contact_key(contact: str) -> str:
    """Where a contact's hash is kept."""
    return f"eg:contact:{contact}"
