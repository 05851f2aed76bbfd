"""Doctor's checks of Redis: whether it keeps every write, and whether scheduler and workers are running."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from redis import Redis
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from shared.core.errors import LedgerTooNew
from shared.core.settings import Settings
from shared.doctor.settings_checks import Finding, Findings, Level
from shared.ledger.client import Ledger
from shared.ledger.health import Health, Problem, read_health
from shared.ledger.migrations import broke_off, waiting
from shared.ledger.redis_errors import reason
from shared.ledger.template_texts import TemplateTexts

SKEW_NOTED, SKEW_WRONG = 2_000, 60_000  # milliseconds
OLDEST = 7
_KEEPING: dict[str, tuple[str, Level, str]] = {
    "appendonly": ("yes", "fault", "accepted data is lost when Redis stops"),
    "appendfsync": (
        "always",
        "fault",
        "the last second may be lost when the machine stops, so emails do not go in batches",
    ),
    "no-appendfsync-on-rewrite": (
        "no",
        "fault",
        "writes during a log rewrite may be lost, so emails do not go in batches",
    ),
    "maxmemory-policy": ("noeviction", "fault", "enrollments are evicted when memory is short"),
}
_CONFIG = "set `{name} {value}` in its configuration (deploy/base/valkey.conf), and restart it"


def redis(ledger: Ledger, found: Settings, clock: Callable[[], int]) -> Findings:
    """Check Redis and everything that uses it; if it does not respond, report only that.

    Args:
        ledger: the ledger in the Redis to check.
        found: the settings.
        clock: this machine's time, in milliseconds since 1970 UTC.
    """
    try:
        ledger.redis.time()  # unlike PING, it works even when no write is accepted
    except (RedisError, OSError) as error:
        found_out = reason(error)
        yield Finding("fault", found_out.setting or "Redis", f"Redis {found_out.what}", found_out.fix)
        return
    for check in (_keeping, _version, _writes):
        yield from check(ledger.redis)
    yield from _skew(ledger, clock)
    yield from _unlisted(ledger)
    yield from _ledger(ledger)
    yield from _at_work(ledger, found)
    for name, why in TemplateTexts(ledger).rejected().items():
        yield Finding(
            "fault",
            name,
            f"an edit in Notion was rejected: {why}",
            "fix its page; the last good text is sent meanwhile",
        )


def _keeping(client: Redis) -> Findings:
    try:
        known = cast(dict[str, str], client.config_get(*_KEEPING))
    except ResponseError:
        wanted = ", ".join(f"{name} {value}" for name, (value, _, _) in _KEEPING.items())
        yield Finding("note", "Redis", "does not show how it stores data", f"check it yourself: {wanted}")
        return
    wrong = {name: kept for name, kept in _KEEPING.items() if known.get(name) != kept[0]}
    for name, (value, level, loss) in wrong.items():
        about, message = f"Redis {name}", f"is {known.get(name)}: {loss}"
        yield Finding(level, about, message, _CONFIG.format(name=name, value=value))
    if not wrong:
        yield Finding("ok", "Redis", "answers, and keeps every write on disk")


def _version(client: Redis) -> Findings:
    said = client.info()
    version = str(said["redis_version"])
    if int(version.split(".")[0]) < OLDEST:
        yield Finding("fault", "Redis", f"is version {version}", f"install version {OLDEST} or later, or Valkey")
    if said.get("role") != "master":
        yield Finding("fault", "REDIS_URL", "points to a replica, which accepts no writes", "name the primary")
    if said.get("aof_last_write_status", "ok") != "ok":
        yield Finding(
            "fault", "Redis", "could not write its log to disk", "free up space on its disk; its own log has details"
        )


def _writes(client: Redis) -> Findings:
    try:
        client.setrange("no key of Evergreen", 0, "")  # a write that changes nothing
    except ReadOnlyError:
        return  # a replica, already reported
    except ResponseError as error:
        why = reason(error)
        message = f"accepts no writes, because it {why.what}: no sign-up is accepted, and no email is sent"
        yield Finding("fault", "Redis", message, why.fix)


def _skew(ledger: Ledger, clock: Callable[[], int]) -> Findings:
    before = clock()
    there = ledger.now()
    skew = there - (before + clock()) // 2
    if abs(skew) > SKEW_NOTED:
        level: Level = "fault" if abs(skew) > SKEW_WRONG else "note"
        message = (
            f"Redis's is {abs(skew) / 1000:.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's: emails follow "
            "Redis's clock"
        )
        yield Finding(level, "clock", message, "synchronize both machines by NTP (`timedatectl`)")


def _ledger(ledger: Ledger) -> Findings:
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
    except LedgerTooNew:  # _ledger reports it
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
