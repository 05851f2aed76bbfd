"""`evergreen show|list`: look at enrollments."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.markup import escape
from rich.table import Column, Table

from commands import arguments, clients
from commands.overview import Command
from commands.printing import as_json, console, print_json, speaks_plainly
from shared import services
from shared.core.errors import ActionError
from shared.domain.states import LISTED
from shared.operations.enrollment_queries import EnrollmentQueries

COLORS = {
    "active": "green",
    "sent": "green",
    "paused": "yellow",
    "queued": "yellow",
    "sending": "yellow",
    "failed": "bold red",
    "in-doubt": "bold red",
}
who = click.argument("who", metavar="ID|ADDRESS", callback=arguments.id_or_address)


def queries() -> EnrollmentQueries:
    """What a command asks about enrollments; raises LedgerTooNew."""
    return EnrollmentQueries(clients.ledger(), services.catalog(), clients.settings())


@click.command(cls=Command, epilog="evergreen show ada@example.org")
@who
@as_json
@speaks_plainly
def show(who: str, as_json: bool) -> None:
    """Show an enrollment, or all enrollments of an address, with every email, in the person's local time."""
    enrollments = queries()
    runs = [run.id for run in enrollments.runs_of(who)] if "@" in who else [who]
    found = [detail for run in runs if (detail := enrollments.detail(run))]
    if not found:
        what = "enrollment of this address" if "@" in who else "such enrollment"
        raise ActionError(f"there is no {what}; `evergreen list` shows them all")
    print_enrollments(found, as_json)


@click.command("list", cls=Command, epilog="evergreen list --campaign christmas --state paused")
@click.option("--campaign", metavar="SLUG", help="Only enrollments of this campaign.")
@click.option("--state", type=click.Choice([str(state) for state in LISTED]), help="Only enrollments in this state.")
@click.option("--page", type=click.IntRange(min=0), default=0, help="Page to show, as printed below the previous page.")
@as_json
@speaks_plainly
def list_runs(campaign: str | None, state: str | None, page: int, as_json: bool) -> None:
    """List enrollments, latest first."""
    enrollments = queries()
    found = enrollments.page(page, slug=campaign, state=state)
    if as_json:
        print_json(found)
        return
    zone = enrollments.settings.business_timezone
    who = Column("Person, enrollment", no_wrap=True, overflow="ignore")  # for copying, so never cut
    table = Table(who, "State", "Sent", f"Next email ({zone})", box=None, pad_edge=False)
    for run in found["enrollments"]:
        sent, next_at = f"{run['sent']} of {run['of']}", _local(run["next_email_at"], zone, "%a %d %b %H:%M")
        table.add_row(f"{escape(run['email'] or '')}\n[dim]{run['id']}[/]", _colored(run["state"]), sent, next_at)
    console.print(table if found["enrollments"] else "No enrollments.")
    if found["next"]:
        console.print(f"Next page: --page {found['next']}")


def print_enrollments(runs: list[dict[str, Any]], as_json: bool) -> None:
    """Print enrollments with every email, in the person's local time, or as JSON."""
    if as_json:
        print_json(runs)
        return
    for run in runs:
        why = f" ({escape(run['why'])})" if run["why"] else ""
        person, state = escape(run["email"] or ""), _colored(run["state"])
        console.print(f"[bold]{run['campaign_name']}[/], {person}: {state}{why}\n{run['id']}", soft_wrap=True)
        if run["waits_for"]:
            until = _local(run["queued_until"], run["timezone"])
            console.print(f"Waits until {run['waits_for']} ends, at most until {until}.", soft_wrap=True)
        if run["warning"]:
            console.print(f"[yellow]Warning:[/] {escape(run['warning'])}", soft_wrap=True)
        if run["steps"]:
            console.print(_emails(run))
        for name, text in run["claimed"].items():
            console.print(f"Claimed in a form, not used: {name.replace('_', ' ')} “{escape(text)}”", soft_wrap=True)
    for one in runs[0]["blocked"]:
        at = _local(one["at"], runs[0]["timezone"])
        console.print(f"Not enrolled in {one['campaign']} on {at}: {one['by']} was under way.", soft_wrap=True)


def _emails(run: dict[str, Any]) -> Table:
    table = Table("", "State", f"When ({run['timezone']})", "", box=None, pad_edge=False)
    for step in run["steps"]:
        due = (step["next"] if run["state"] == "active" else None) or step["due"]
        when = _local(step["sent_at"] or due, run["timezone"])
        why = "" if step["why"] == run["why"] else step["why"]  # it stands above them all
        table.add_row(str(step["step"]), _colored(step["state"]), when, escape(why or ""))
    return table


def _colored(state: str) -> str:
    return f"[{COLORS[state]}]{state}[/]" if state in COLORS else state


def _local(instant: str | None, zone: str, form: str = "%a %Y-%m-%d %H:%M:%S") -> str:
    return datetime.fromisoformat(instant).astimezone(ZoneInfo(zone)).strftime(form) if instant else ""
