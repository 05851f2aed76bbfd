"""`evergreen plan`: every email of a made-up enrollment."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.markup import escape
from rich.table import Table

from commands import clients
from commands.arguments import address, campaign_of, instant, local, now, zone_of
from commands.overview import Command
from commands.printing import as_json, console, print_json, speaks_plainly
from shared import services
from shared.domain import timing
from shared.domain.segments import SEGMENTS, Segment
from shared.emails.template_store import compile_templates
from shared.integrations.notion_values import iso
from shared.preview import plan as planning
from shared.preview.plan import Planned

MEETING_AHEAD = 3 * timing.DAY


@click.command(
    cls=Command,
    epilog="evergreen plan christmas --timezone Europe/Rome --segment urgent\n"
    "evergreen plan booking-reminder --at 2026-12-03T10:00 --text",
)
@click.argument("slug", metavar="CAMPAIGN")
@click.option(
    "--email", default="maria@example.org", callback=address, show_default=True, help="The contact's address."
)
@click.option(
    "--at",
    "begins",
    metavar="TIME",
    help="Time of the sign-up or, for reminders, of the meeting, in the contact's time zone. Default: now.",
)
@click.option(
    "--timezone", metavar="ZONE", help="The contact's time zone, such as Europe/Rome. Default: the business's."
)
@click.option(
    "--segment",
    type=click.Choice(SEGMENTS, case_sensitive=False),
    default="CRITICAL",
    show_default=True,
    help="The contact's segment.",
)
@click.option("--score", type=click.IntRange(0, 100), help="Assessment score.")
@click.option("--text", is_flag=True, help="Print each email in full.")
@as_json
@speaks_plainly
def plan(
    slug: str,
    email: str,
    begins: str | None,
    timezone: str | None,
    segment: Segment,
    score: int | None,
    text: bool,
    as_json: bool,
) -> None:
    """Show every email that a person would get, when, and with which text.

    Uses the texts in the campaign's files. Does not read Redis."""
    found, catalog = clients.settings(), services.catalog()
    campaign, zone = campaign_of(catalog, slug), zone_of(timezone, found)
    meets, today = planning.meets(campaign), now()
    default = today + MEETING_AHEAD if meets else today
    anchor = instant(begins, zone) if begins else default
    begins_at = today if meets else anchor
    contact = planning.person(
        segment, found, email=email, timezone=timezone, assessment_score=None if score is None else str(score)
    )
    emails = planning.plan(
        campaign,
        contact,
        anchor,
        now=begins_at,
        catalog=catalog,
        templates=compile_templates(catalog, found),
        settings=found,
    )
    own = ZoneInfo(found.business_timezone)
    if as_json:
        rows = [_row(each, zone, own, text) for each in emails]
        return print_json(
            {"campaign": slug, "segment": segment, "anchor": iso(anchor), "timezone": str(zone), "emails": rows}
        )
    console.print(
        f"[bold]{campaign.name}[/] for {escape(email)}, {segment}, {'meeting' if meets else 'sign-up'} "
        f"{local(anchor, zone)}"
    )
    _print_plan(emails, zone, own, begins_at)
    for each in emails if text else ():
        console.rule(f"{each.number}. {escape(each.subject)}", align="left")
        console.print(each.text, markup=False, soft_wrap=True)


def _row(each: Planned, zone: ZoneInfo, own: ZoneInfo, text: bool) -> dict[str, Any]:
    times = {
        "due": iso(each.due),
        "local": local(each.due, zone),
        "business": local(each.due, own),
        "testing_due": iso(each.testing_due),
    }
    shown = ("template", "subject", "note", *(["text"] if text else []))
    return {"step": each.number, **times} | {name: asdict(each)[name] for name in shown}


def _print_plan(emails: list[Planned], zone: ZoneInfo, own: ZoneInfo, begins: int) -> None:
    zones = [zone] if zone.key == own.key else [zone, own]
    table = Table("", *(f"{each.key}" for each in zones), "Testing", "Subject and template", box=None, pad_edge=False)
    for each in emails:
        times = (f"{datetime.fromtimestamp(each.due / 1000, there):%a %b %d %H:%M}" for there in zones)
        note = f" [yellow]({each.note})[/]" if each.note else ""
        after = f"+{(each.testing_due - begins) / 1000:g}s"
        table.add_row(str(each.number), *times, after, f"{escape(each.subject)}\n[dim]{each.template}[/]{note}")
    console.print(table)
