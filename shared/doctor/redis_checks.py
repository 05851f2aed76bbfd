"""Doctor's checks of Redis: its version, whether it accepts and keeps every write, and its clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from redis import Redis
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from shared.core.settings import Settings
from shared.doctor import ledger_checks
from shared.doctor.findings import Finding, Findings, Level
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.redis_errors import reason

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
    """Check Redis, then the ledger in it (ledger_checks.py); if it does not respond, report only that.

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
    yield from ledger_checks.ledger(ledger, found)


def _keeping(client: Redis) -> Findings:
    try:
        known = cast(dict[str, str], client.config_get(*_KEEPING))
    except ResponseError:
        wanted = ", ".join(f"{name} {value}" for name, (value, _, _) in _KEEPING.items())
        message = "does not show how it stores data, so emails do not go in batches"
        yield Finding("note", "Redis", message, f"let its user run CONFIG GET (+config|get), or check it: {wanted}")
        return
    wrong = {name: kept for name, kept in _KEEPING.items() if known.get(name) != kept[0]}
    for name, (value, level, loss) in wrong.items():
        about, message = f"Redis {name}", f"is {known.get(name)}: {loss}"
        yield Finding(level, about, message, _CONFIG.format(name=name, value=value))
    if not wrong:
        yield Finding("ok", "Redis", "answers, and keeps every write on disk")


def _version(client: Redis) -> Findings:
    try:
        said = client.info()
    except ResponseError as error:
        why = reason(error)
        yield Finding("fault", "Redis", f"{why.what}: with Notion, no email is sent", why.fix)
        return
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
        client.setrange(ids.UNUSED, 0, "")  # a write that changes nothing
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
