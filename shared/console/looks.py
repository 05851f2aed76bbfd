"""How the console formats values: local times, addresses, and shares."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

BASE = "/console"
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def when(instant: str | int | None, zone: str) -> Markup:
    """An instant in local time, with UTC as its title.

    Args:
        instant: RFC 3339, or milliseconds since 1970 UTC; None becomes a dash.
        zone: the time zone to show it in.
    """
    if not instant:
        return Markup('<span class="quiet">&ndash;</span>')
    at = datetime.fromtimestamp(instant / 1000, UTC) if isinstance(instant, int) else datetime.fromisoformat(instant)
    local = at.astimezone(ZoneInfo(zone))
    utc = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), utc, f"{local:%a} {local.day} {local:%b %Y, %H:%M}"
    )


def span(seconds: float) -> str:
    """A duration in its two largest units: `3 days`, `1 hour 30 minutes`."""
    rest, parts = round(abs(seconds)), []
    for size, name in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {name}{'' if count == 1 else 's'}")
    return " ".join(parts[:2]) or "0 seconds"


def away(instant: str | None, now: int) -> str:
    """The distance of an instant from now: `in 2 hours`, `3 days ago`.

    Args:
        instant: RFC 3339.
        now: milliseconds since 1970 UTC.
    """
    if not instant:
        return ""
    seconds = datetime.fromisoformat(instant).timestamp() - now / 1000
    if abs(seconds) < 1:
        return "now"
    size, name = next((size, name) for size, name in _UNITS if abs(seconds) >= 0.99 * size)
    count = round(abs(seconds) / size)
    largest = f"{count} {name}{'' if count == 1 else 's'}"
    return f"in {largest}" if seconds > 0 else f"{largest} ago"


def address(*parts: str, **query: object) -> str:
    """The address of a console page; empty query values are left out."""
    known = {name: value for name, value in query.items() if value not in (None, "", 0)}
    return "/".join((BASE, *parts)) + (f"?{urlencode(known)}" if known else "")


def share(part: int, whole: int) -> str:
    """A part in percent; empty if the whole is zero."""
    return f"{min(100, round(100 * part / whole))}%" if whole else ""


def set_up(pages: Environment) -> None:
    """Add these formats to templates, and make undefined variables an error."""
    pages.undefined = StrictUndefined
    pages.trim_blocks = pages.lstrip_blocks = True
    pages.globals.update(address=address, share=share, base=BASE)
    pages.filters.update(when=when, away=away, span=span)
