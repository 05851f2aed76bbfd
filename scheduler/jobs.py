"""What RQ calls.

A job is only a wake-up: to check one step, to ask for confirmations, to write the outbox to Notion, or to send alerts.
The ledger decides."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING

import urllib3
from rq.timeouts import JobTimeoutException
from urllib3.exceptions import HTTPError

from shared import services
from shared.core import log
from shared.core.errors import LedgerTooNew, StepFailed
from shared.domain.states import StepState

if TYPE_CHECKING:  # each worker has one queue, and loads only what it needs: about 10 MB less
    from shared.notion.recorder import Recorder
    from shared.operations.alerts import Notifier

UNANSWERED_AFTER = 5  # seconds until a step is checked again after its send function did not respond
LINGER = 0.25  # seconds
RECORD_FOR = 15  # seconds of one record job; the rest gets another job
NOTIFY_FOR = 15  # seconds of one notify job; the rest waits for the worker's next round
_logger = log.logger("worker")


@cache
def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(maxsize=4, retries=False, timeout=services.current_settings().http_timeout)


@contextmanager
def _leaving_a_newer_ledger() -> Iterator[None]:
    """A newer release owns the ledger: its scheduler and workers find this work again, so it does not belong on RQ's
    failed list."""
    try:
        yield
    except LedgerTooNew as error:
        _logger.error("ledger.too_new", why=str(error))


@_leaving_a_newer_ledger()
def send_step(enrollment: str, step: int) -> None:
    """Send one step, if it is still due.

    Args:
        enrollment: the enrollment's id.
        step: the step's number.

    Raises:
        StepFailed: if the step has ended `failed` or `in-doubt`: RQ's failed list is what a person must check. So
            nothing is raised if a newer release owns the ledger, or if the time is up, as after this machine slept: the
            sweeper checks the step again.
        RedisError: if Redis is unavailable, or accepts no writes; the worker waits for it.
    """
    try:
        _send_step(enrollment, step)
    except JobTimeoutException as error:
        _logger.warning("step.left", enrollment=enrollment, step=step, problem=type(error).__name__)


def _send_step(enrollment: str, step: int) -> None:
    ledger = services.ledger()
    found = ledger.peek(enrollment, step)
    if found.state and found.state.needs_a_person:
        raise StepFailed(f"{enrollment} step {step} is {found.state}: {found.why}")
    if not (found.state and found.state.is_open) or (found.next or 0) > found.now:
        return
    result = _ask(enrollment, step, found.request_id or "")
    if result is None:
        ledger.postpone(enrollment, step, UNANSWERED_AFTER)
    elif result.get("result") in (StepState.FAILED, StepState.IN_DOUBT):
        raise StepFailed(f"{enrollment} step {step} is {result['result']}: {result.get('why')}")


def _ask(enrollment: str, step: int, request_id: str) -> dict[str, str] | None:
    """The send function's response; None if there was none, or not now."""
    body = {"enrollment": enrollment, "step": step}
    return _post("", body, request_id, enrollment=enrollment, step=step)


@_leaving_a_newer_ledger()
def confirm() -> None:
    """Have the confirmation emails sent that are next; the scheduler finds those that are left."""
    with suppress(JobTimeoutException):
        _post("/confirmations", {}, "")


def _post(path: str, body: dict[str, object], request_id: str, **known: object) -> dict[str, str] | None:
    """Ask the send function; `known` is logged with a problem."""
    settings = services.current_settings()
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {settings.internal_token}",
        "X-Request-Id": request_id,
    }
    try:
        answer = _pool().request("POST", settings.send_function_url + path, body=json.dumps(body), headers=headers)
        if answer.status == 200:
            return dict(answer.json())
        problem = f"answered {answer.status}"
        if answer.status == 429:
            return {}
    except (HTTPError, ValueError) as error:
        problem = type(error).__name__
    _logger.warning("send_function.unavailable", problem=problem, request_id=request_id, **known)
    return None


@cache
def _recorder() -> Recorder:
    from shared.notion.recorder import Recorder

    settings, pacer = services.current_settings(), services.notion_pacer()
    notion = services.notion(pacer.wait) if settings.recorded else None
    return Recorder(services.ledger(), services.catalog(), settings, notion, pacer, settings.fenced)


@_leaving_a_newer_ledger()
def record() -> None:
    """Write changes to Notion, within its rate limit; changes a moment later need no separate job."""
    ends = time.monotonic() + RECORD_FOR
    while _recorder().drain(RECORD_FOR) and time.monotonic() < ends:
        time.sleep(LINGER)


@cache
def _notifier() -> Notifier:
    from shared.operations.alerts import Notifier

    settings = services.current_settings()
    discord = services.discord() if settings.discord_webhook_url else None
    mails = settings.alert_email and settings.resend_api_key and settings.resend_from_email
    return Notifier(services.ledger(), settings, discord, services.resend() if mails else None)


@_leaving_a_newer_ledger()
def notify() -> None:
    """Send the pending alerts to the owner."""
    _notifier().drain(NOTIFY_FOR)


@_leaving_a_newer_ledger()
def look_around() -> None:
    """Checks without a job: whether the scheduler is alive, and notices that are due."""
    _notifier().watch()
    _notifier().drain(NOTIFY_FOR)
