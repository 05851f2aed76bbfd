"""Doctor's checks of the ledger: its version, emails on no list, scheduler and workers, and what stops sending."""

from __future__ import annotations

from redis.exceptions import OutOfMemoryError

from shared.core.errors import LedgerTooNew
from shared.core.settings import Settings
from shared.doctor.findings import Finding, Findings
from shared.ledger.client import Ledger
from shared.ledger.health import Health, Problem, read_health
from shared.ledger.migrations import broke_off, waiting
from shared.ledger.redis_errors import reason
from shared.ledger.template_texts import TemplateTexts


def ledger(ledger: Ledger, found: Settings) -> Findings:
    """Check the ledger and the processes that use it.

    Args:
        ledger: the ledger; Redis responds.
        found: the settings.
    """
    yield from _unlisted(ledger)
    yield from _version(ledger)
    yield from _at_work(ledger, found)
    for name, why in TemplateTexts(ledger).rejected().items():
        yield Finding(
            "fault",
            name,
            f"an edit in Notion was rejected: {why}",
            "fix its page; the last good text is still sent",
        )


def _version(ledger: Ledger) -> Findings:
    try:
        waits_for = waiting(ledger)
    except LedgerTooNew as error:
        yield Finding("fault", "ledger", str(error), "run the release that wrote it, or restore an earlier backup")
        return
    if waits_for:
        message = (
            f"waits for {len(waits_for)} migration{'s' if len(waits_for) > 1 else ''}; everything works until then"
        )
        if broke_off(ledger):
            message = "its migration is running, or was interrupted"
        yield Finding("note", "ledger", message, "make a backup, then run `evergreen migrate`")


def _unlisted(ledger: Ledger) -> Findings:
    """Emails that would never be checked; only reads."""
    try:
        found = ledger.audit_all()
    except LedgerTooNew:  # _version reports it
        return
    if found:
        message = f"{len(found)} are on no list and would never be sent, such as {found[0]}"
        fix = (
            "a running scheduler puts them back within an hour, `evergreen verify --fix` at once; Redis's log may show "
            "the cause"
        )
        yield Finding("fault", "emails", message, fix)


def _at_work(ledger: Ledger, found: Settings) -> Findings:
    """Scheduler, workers, and what stops sending."""
    health = read_health(ledger)
    yield from _workers(health, found)
    for problem in health.problems:
        match problem:
            case Problem.STOPPED:
                fix = "fix the cause, then `evergreen start-sending`; an exhausted quota recovers by itself"
                yield Finding("fault", "sending", f"is stopped: {health.gate}", fix)
            case Problem.FENCED:
                yield Finding(
                    "fault", "fence", str(health.fence), "see `evergreen fence`; --take-over lets this copy send"
                )
            case Problem.NO_ROOM | Problem.MEMORY:
                message = f"{health.memory_used * 100:.0f} % of its memory is used; at 90 % forms are refused"
                yield Finding("note", "Redis maxmemory", message, reason(OutOfMemoryError("OOM")).fix)
            case Problem.OVERDUE:
                fix = "check the logs of scheduler and workers"
                yield Finding(
                    "fault", "sending", f"an email has been due for {health.overdue / 60_000:.0f} minutes", fix
                )


def _workers(health: Health, found: Settings) -> Findings:
    """The scheduler, and a worker for each queue these settings need."""
    if Problem.SILENT in health.problems or health.tick_age is None:
        yield Finding("fault", "scheduler", "is silent: due emails are not sent", "start `python -m scheduler.release`")
    else:
        yield Finding("ok", "scheduler", f"was active {health.tick_age / 1000:.1f} s ago")
    losses = {"send": "no email is sent"}
    losses |= {"record": "nothing is recorded in Notion"} if found.notion_token else {}
    losses |= {"notify": "no alert is sent"} if found.discord_webhook_url or found.alert_email else {}
    for queue, loss in losses.items():
        if not (count := health.workers[queue]):
            yield Finding(
                "fault", f"worker {queue}", f"is not running: {loss}", f"start `python -m scheduler.worker {queue}`"
            )
        else:
            yield Finding("ok", f"worker {queue}", f"{count} running")
