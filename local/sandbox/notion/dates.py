"""Dates as Notion keeps them: a day, or an instant to the minute; and words for relative days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from local.sandbox.notion.wording import UNDEFINED, an_object, only, should_be

_RELATIVE_DAYS = {
    "today": 0,
    "tomorrow": 1,
    "yesterday": -1,
    "one_week_ago": -7,
    "one_week_from_now": 7,
    "one_month_ago": -30,
    "one_month_from_now": 30,
}
DAY = timedelta(days=1)


def to_the_minute(seconds: float) -> str:
    """An instant in the form of `created_time`.

    Args:
        seconds: since 1970.
    """
    return f"{datetime.fromtimestamp(seconds // 60 * 60, UTC):%Y-%m-%dT%H:%M:00.000Z}"


def with_offset(seconds: float) -> str:
    """An instant in the form of a database's own timestamps: with milliseconds and an offset.

    Args:
        seconds: since 1970.
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _parsed(text: Any) -> date | datetime | None:
    if not isinstance(text, str):
        return None
    try:
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        return None


def _kept(value: Any, path: str, zone: str | None) -> str:
    moment = _parsed(value)
    if moment is None:
        raise should_be(path, "defined" if value is UNDEFINED else "a valid ISO 8601 date string", value)
    if not isinstance(moment, datetime):
        return moment.isoformat()
    if zone:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    elif moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    else:
        moment = moment.astimezone(UTC)
    return moment.replace(second=0, microsecond=0).isoformat(timespec="milliseconds")


def read(value: Any, path: str) -> dict[str, Any] | None:
    """Check the date of a request, and return it as Notion does. Seconds are dropped, as in Notion.

    Args:
        value: `{"start", "end", "time_zone"}` or None.
        path: where it is.
    """
    if value is None:
        return None
    given = an_object(value, path)
    only(given, ("start", "end", "time_zone"), path)
    zone = given.get("time_zone")
    if zone is not None and zone not in available_timezones():
        raise should_be(f"{path}.time_zone", "a valid IANA time zone or `null`", zone)
    start = _kept(given.get("start", UNDEFINED), f"{path}.start", zone)
    end = given.get("end")
    return {"start": start, "end": None if end is None else _kept(end, f"{path}.end", zone), "time_zone": zone}


def span(text: str, now: float) -> tuple[datetime, datetime]:
    """The time that a filter's date covers: a day, or a minute.

    Args:
        text: a date, an instant or a word such as `one_week_ago`.
        now: seconds since 1970.

    Raises:
        ValueError: if it is none of these.
    """
    if text in _RELATIVE_DAYS:
        moment: date | datetime | None = (datetime.fromtimestamp(now, UTC) + _RELATIVE_DAYS[text] * DAY).date()
    else:
        moment = _parsed(text)
    if moment is None:
        raise ValueError(text)
    if isinstance(moment, datetime):
        start = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return start, start + timedelta(minutes=1)
    start = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    return start, start + DAY


def instant(text: str) -> datetime:
    """When a kept date begins."""
    return span(text, 0)[0]
