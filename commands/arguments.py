"""What commands take as arguments: campaigns, times and time zones."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from shared.core.settings import Settings
from shared.core.value_types import seconds
from shared.domain import timing
from shared.domain.addresses import canonical
from shared.domain.catalog import Campaign, Catalog

NO_ADDRESS = "not a valid email address; write one such as ada@example.org"


def address(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """An address in canonical form, as click's callback; raises click.BadParameter if it is not one."""
    if value is None:
        return None
    if not (found := canonical(value)):
        raise click.BadParameter(NO_ADDRESS)
    return found


def id_or_address(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """The same for an argument that may be an enrollment's id."""
    found = canonical(value)
    if not found and "@" in value:
        raise click.BadParameter(NO_ADDRESS)
    return found or value


def campaign_of(catalog: Catalog, slug: str) -> Campaign:
    """The named campaign; raises click.BadParameter with the names that exist."""
    if slug not in catalog.campaigns:
        raise click.BadParameter(f"there is no campaign {slug!r}; choose one of {', '.join(catalog.campaigns)}")
    return catalog.campaigns[slug]


def instant(text: str, zone: ZoneInfo) -> int:
    """A time as people write it, such as 2026-12-01 or 2026-12-01T09:30, in milliseconds since 1970 UTC.

    Args:
        text: in ISO 8601.
        zone: its time zone, unless the text names one.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a valid time; write it like 2026-12-01T09:30") from None
    return round((found if found.tzinfo else found.replace(tzinfo=zone)).timestamp() * 1000)


def ago(text: str, now: int, found: Settings) -> int:
    """How far back: a duration such as 2h before `now`, or a time; in milliseconds since 1970 UTC."""
    if re.fullmatch(r"\d+(\.\d+)?(ms|s|m|h|d)", text):
        return now - round(float(seconds(text)) * 1000)
    return instant(text, timing.zone(None, found.business_timezone))


def zone_of(name: str | None, found: Settings) -> ZoneInfo:
    """A contact's time zone, or the business's; raises click.BadParameter for an unknown name."""
    zone = timing.zone(name, found.business_timezone)
    if name and zone.key != name:
        raise click.BadParameter(f"{name!r} is not a valid time zone; use an IANA name, such as Europe/Rome")
    return zone


def local(at: int, zone: ZoneInfo) -> str:
    """An instant in a time zone."""
    return f"{datetime.fromtimestamp(at / 1000, zone):%Y-%m-%d %H:%M}"


def now() -> int:
    """This machine's time, in milliseconds since 1970 UTC: a made-up enrollment has no Redis whose clock counts."""
    return round(datetime.now().timestamp() * 1000)
