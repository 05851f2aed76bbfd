"""When emails are due: anchor, delays and testing mode. Pure: the caller passes the time.

Every instant is a whole number of milliseconds since 1970-01-01 UTC, as the ledger keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.domain.send_window import Window

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
AHEAD_AT_MOST = HOUR
OLD_AT_MOST = 30 * DAY


@dataclass(frozen=True)
class Delay:
    """How far a step is from its anchor.

    Attributes:
        number: the step's number.
        milliseconds: after the anchor, or negative: before it.
    """

    number: int
    milliseconds: int


def anchor(reported: int | None, now: int, field: str = "email_1_sent_at") -> tuple[int, str | None]:
    """The instant that delays count from.

    Args:
        reported: when the website says it sent the first email, if it does.
        now: the webhook's time.
        field: the name of the field that reports it.

    Returns:
        The anchor, and a warning for the owner if the report could not be used.

    Raises:
        ValueError: if the report is older than 30 days.
    """
    if reported is None:
        return now, None
    if reported > now + AHEAD_AT_MOST:
        return now, f"{field} is more than an hour ahead; the time of the request was used instead"
    if reported < now - OLD_AT_MOST:
        raise ValueError(f"{field} is older than 30 days; send a recent time or leave it out")
    return reported, None


def testing(delays: Sequence[Delay], step: float) -> list[Delay]:
    """The same steps, compressed for testing: step k is due (k-1) steps after the anchor.

    Steps before an anchor (a meeting) are due k steps before it, the last one a single step before.

    Args:
        delays: the campaign's own delays.
        step: seconds between two emails.
    """
    count = len(delays)
    width = round(step * 1000)
    return [
        Delay(delay.number, -(count - index) * width if delay.milliseconds < 0 else index * width)
        for index, delay in enumerate(delays)
    ]


def dues(anchor_at: int, delays: Sequence[Delay], window: Window | None, zone: ZoneInfo) -> dict[int, int]:
    """When each step is due.

    A window never lets two steps out at once: they stay a day apart, or their own gap if that is shorter. Where the
    clock goes forward, no step misses its hour and waits for the next day.

    Args:
        anchor_at: the enrollment's anchor.
        delays: the steps' delays, in the order they go out.
        window: the campaign's send window, if it has one.
        zone: the window's time zone.
    """
    found: dict[int, int] = {}
    before: Delay | None = None
    for delay in delays:
        instant = anchor_at + delay.milliseconds
        if window:
            instant = days_later(anchor_at, delay.milliseconds, zone)
            if before:
                gap = min(delay.milliseconds - before.milliseconds, DAY)
                instant = max(instant, days_later(found[before.number], gap, zone))
            instant = window.next_open(instant, zone)
        found[delay.number], before = instant, delay
    return found


def days_later(instant: int, delay: int, zone: ZoneInfo) -> int:
    """An instant plus a delay of milliseconds; where the clock goes forward, one of a day or more keeps the hour and
    the day."""
    later = instant + delay
    if delay < DAY:
        return later
    wall = datetime.fromtimestamp(instant / 1000, zone) + timedelta(milliseconds=delay)
    midnight = datetime.combine(wall.date(), time(), zone)
    # of an hour that is skipped, the one before it counts, if it is on the same day
    return min(later, round(max(wall.replace(fold=1).timestamp(), midnight.timestamp()) * 1000))


def shifted(late: Delay, now: int) -> int:
    """The anchor that makes a late step due now and keeps the gaps after it."""
    return now - late.milliseconds


def spoken(instant: int, zone: ZoneInfo) -> tuple[str, str]:
    """An instant as people say it where they live: `Thursday, December 3` and `10:00 AM PST`.

    Args:
        instant: milliseconds since 1970 UTC.
        zone: their time zone; daylight saving time counts as it will then.
    """
    local = datetime.fromtimestamp(instant / 1000, zone)
    name = local.tzname() or ""
    if name[:1] in "+-":  # a zone without an abbreviation
        name = f"UTC{name}"
    return f"{local:%A, %B} {local.day}", f"{local.hour % 12 or 12}:{local:%M %p} {name}"


def zone(name: str | None, fallback: str) -> ZoneInfo:
    """A contact's time zone, or the business's if the contact's is missing or unknown.

    Args:
        name: the zone that the visitor's browser reported.
        fallback: the business's zone, checked when the settings were read.
    """
    try:
        return ZoneInfo(name or fallback)
    except (KeyError, ValueError, OSError):
        return ZoneInfo(fallback)
