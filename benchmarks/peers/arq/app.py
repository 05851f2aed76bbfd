# mypy: ignore-errors
# Runs in a virtual environment of its own, whose packages the project's lacks.
"""arq: a deferred job for each email; polled each 20 ms and 50 at a time, instead of each half second and 10."""

from datetime import UTC, datetime

import aiohttp
import work
from arq import create_pool
from arq.connections import RedisSettings

REDIS = RedisSettings(host="127.0.0.1", port=work.REDIS_PORT)
_pool = None


async def send(context, customer, step, due):
    """One email."""
    headers = {"Content-Type": "application/json"}
    async with context["session"].post(
        f"http://127.0.0.1:{work.STUB_PORT}/emails", data=work.mail(customer, step, due), headers=headers
    ) as answer:
        await answer.read()


async def begin(context):
    """One client for all emails."""
    context["session"] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=32))


class WorkerSettings:
    """What the worker reads."""

    functions = (send,)
    redis_settings = REDIS
    on_startup = begin
    keep_result = 0
    max_jobs = 50
    poll_delay = 0.02


async def enroll(customer, dues):
    """Schedule a customer's emails."""
    global _pool
    _pool = _pool or await create_pool(REDIS)
    for step, due in enumerate(dues, 1):
        await _pool.enqueue_job("send", customer, step, due, _defer_until=datetime.fromtimestamp(due, UTC))
