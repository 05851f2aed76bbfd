"""`evergreen simulate`: many sign-ups against Resend's rate and quota, before they happen."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import click
from rich.table import Table

from commands import chart, clients
from commands.overview import Command
from commands.planning import campaign_of, instant, local
from commands.printing import as_json, console, print_json, speaks_plainly
from shared import services
from shared.core.settings import seconds
from shared.preview import simulation
from shared.preview.simulation import Conditions, Outcome


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
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed draws other people.")
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

    Uses the real campaigns, timing and late policy. Does not ask Redis, and sends nothing."""
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
    _print_outcome(outcome, upgraded, conditions, took)


def _print_outcome(outcome: Outcome, upgraded: Outcome, conditions: Conditions, took: float) -> None:
    if outcome.hours:
        console.print(chart.by_hour(outcome.hours, outcome.full_days, console.width))
    quota = f"{conditions.daily_quota:,} emails a day" if conditions.daily_quota else "unlimited emails a day"
    busiest = max(outcome.requests.values(), default=0)
    console.print(
        f"\nResend accepts {conditions.rate:g} requests a second, which is {conditions.rate * 3600:,.0f} an hour (the "
        "busiest hour has "
        f"{busiest:,}), and {quota}"
        + (" ([red]red[/]: days on which the quota delayed email)." if outcome.full_days else "."),
        soft_wrap=True,
    )
    columns = [outcome, upgraded] if outcome.full_days else [outcome]
    table = Table("", *("With this quota", "Without a daily quota")[: len(columns)], box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, text in _FIGURES.items():
        table.add_row(name, *(text(each) for each in columns))
    console.print(table)
    people = ", ".join(f"{name} {count:,}" for name, count in sorted(outcome.segments.items()))
    console.print(f"People: {people}. Simulated in {took:.1f} s.")
    if outcome.full_days:
        console.print(
            f"[bold]A plan without a daily quota[/] delays nothing; it must allow {upgraded.busiest_month:,} "
            "emails in 30 days. "
            f"This quota delays email on {len(outcome.full_days):,} days.",
            soft_wrap=True,
        )


def _lasting(milliseconds: int) -> str:
    """A duration, in a suitable unit."""
    for unit, width in (("days", 86_400_000), ("h", 3_600_000), ("min", 60_000)):
        if milliseconds >= 2 * width:
            return f"{milliseconds / width:,.1f} {unit}"
    return f"{milliseconds / 1000:,.1f} s"


_FIGURES: dict[str, Callable[[Outcome], str]] = {
    "emails sent": lambda each: f"{each.sent:,}",
    "last email": lambda each: local(each.ended, ZoneInfo("UTC")),
    "more than a minute late": lambda each: f"{each.late:,}",
    "longest delay after the due time": lambda each: _lasting(each.latest),
    "longest delay after the date set at sign-up": lambda each: _lasting(each.furthest),
    "enrollments moved by the late policy": lambda each: f"{each.shifted:,} times",
    "skipped by the late policy": lambda each: f"{each.skipped:,}",
    "not sent by the end": lambda each: f"{each.unsent:,}",
    "days with the quota exhausted": lambda each: f"{len(each.full_days):,}",
    "emails in the busiest 30 days": lambda each: f"{each.busiest_month:,}",
}
