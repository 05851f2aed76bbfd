"""`evergreen simulate`: many sign-ups against Resend's rate and quota, before they happen."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import click

from commands import clients
from commands.arguments import campaign_of, instant
from commands.overview import Command
from commands.printing import as_json, console, print_json, speaks_plainly
from commands.simulation_report import print_outcome
from shared import services
from shared.core.value_types import seconds
from shared.preview import simulation
from shared.preview.simulation_types import Conditions


def _span(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    """A duration such as 30d, in milliseconds."""
    try:
        return None if value is None else round(seconds(value) * 1000)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _outage(text: str, begins: int, zone: ZoneInfo) -> tuple[int, int]:
    """Start and end, each a time or a duration since the start of the simulation."""
    ends = text.split("..")
    if len(ends) != 2:
        raise click.BadParameter(
            f"{text!r} is not a valid outage; write from..to, such as 2d..2d6h or 2026-12-01T09:00..2026-12-01T15:00"
        )
    found = []
    for end in ends:
        parts = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?", end)
        known = (
            dict(zip(("days", "hours", "minutes"), (int(part or 0) for part in parts.groups()), strict=True))
            if parts
            else {}
        )
        found.append(begins + round(timedelta(**known).total_seconds() * 1000) if parts and end else instant(end, zone))
    if found[0] >= found[1]:
        raise click.BadParameter(f"{text!r} ends before it starts")
    return found[0], found[1]


@click.command(
    cls=Command,
    epilog="evergreen simulate --contacts 10000 --daily-quota 100\n"
    "evergreen simulate --mix --daily-quota 0 --outage 2d..2d6h",
)
@click.option(
    "--contacts", type=click.IntRange(1, 1_000_000), default=10_000, show_default=True, help="Number of sign-ups."
)
@click.option(
    "--campaign", "slug", metavar="SLUG", default="christmas", show_default=True, help="The campaign they sign up for."
)
@click.option("--mix", is_flag=True, help="Spread the sign-ups evenly over all campaigns.")
@click.option("--from", "begins", metavar="TIME", help="First day. Default: today.")
@click.option(
    "--over",
    metavar="DURATION",
    default="30d",
    show_default=True,
    callback=_span,
    help="Period in which people sign up.",
)
@click.option("--to", metavar="TIME", help="When to stop. Default: at the last email.")
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    default=2,
    show_default=True,
    help="Requests per second that Resend accepts.",
)
@click.option(
    "--daily-quota",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    help="Emails per day that Resend accepts; 0: no limit.",
)
@click.option(
    "--outage",
    "outages",
    metavar="FROM..TO",
    multiple=True,
    help="When Resend is unavailable: times, or durations since the start, such as 2d..2d6h.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Change it to draw other people.")
@as_json
@speaks_plainly
def simulate(
    contacts: int,
    slug: str,
    mix: bool,
    begins: str | None,
    over: int,
    to: str | None,
    rate: float,
    daily_quota: int,
    outages: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Simulate many sign-ups: emails per hour, delays, and what another Resend plan would change.

    Uses the real campaigns, timing and late policy. Does not read Redis, and sends nothing."""
    found, catalog = clients.settings(), services.catalog()
    zone = ZoneInfo(found.business_timezone)
    start = instant(begins or f"{datetime.now(zone):%Y-%m-%d}", zone)
    conditions = Conditions(
        slugs=list(catalog.campaigns) if mix else [campaign_of(catalog, slug).slug],
        contacts=contacts,
        begins=start,
        over=over,
        to=instant(to, zone) if to else None,
        rate=rate,
        daily_quota=daily_quota,
        outages=[_outage(text, start, zone) for text in outages],
        seed=seed,
    )
    with console.status(f"{contacts:,} people sign up ...") as status:
        clock = time.perf_counter()
        outcome = simulation.simulate(catalog, found, conditions)
        took = time.perf_counter() - clock
        status.update("The same without a daily quota ...")
        upgraded = (
            simulation.simulate(catalog, found, replace(conditions, daily_quota=0)) if outcome.full_days else outcome
        )
    if as_json:
        return print_json(
            {"seconds": round(took, 2), "as_it_is": outcome.as_dict, "without_daily_quota": upgraded.as_dict}
        )
    print_outcome(outcome, upgraded, conditions, took)
