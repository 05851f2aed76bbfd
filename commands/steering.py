"""`evergreen pause|resume|cancel|skip|send-now|retry|show|list|stop-sending|start-sending`: look at enrollments and
manage them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.markup import escape
from rich.table import Column, Table

from commands import clients
from commands.overview import Command
from commands.printing import as_json, console, print_json, speaks_plainly
from shared import services
from shared.core.errors import ActionError
from shared.domain.states import LISTED
from shared.operations.enrollment_actions import STOPPED, EnrollmentActions
from shared.operations.enrollment_queries import EnrollmentQueries

COLORS = {
    "active": "green",
    "sent": "green",
    "paused": "yellow",
    "sending": "yellow",
    "failed": "bold red",
    "in-doubt": "bold red",
}
who = click.argument("who", metavar="ID|ADDRESS")
step_number = click.argument("step", type=click.IntRange(min=1))
yes = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")


def _desk() -> EnrollmentQueries:
    return EnrollmentQueries(clients.ledger(), services.catalog(), clients.settings())


def _decide(who: str, as_json: bool, decision: Callable[[EnrollmentActions, str], object], question: str = "") -> None:
    """Find the enrollment, ask for confirmation if needed, act, and show the result."""
    desk = _desk()
    enrollment = desk.find(who)
    if question:
        click.confirm(f"{question} ({enrollment})", abort=True, err=True)
    decision(EnrollmentActions(desk.ledger, desk.catalog, desk.settings), enrollment)
    _show([desk.detail(enrollment) or {}], as_json)


@click.command(cls=Command, epilog="evergreen pause ada@example.org")
@who
@as_json
@speaks_plainly
def pause(who: str, as_json: bool) -> None:
    """Hold an enrollment until you resume it."""
    _decide(who, as_json, lambda actions, run: actions.pause(run))


@click.command(cls=Command, epilog="evergreen resume ada@example.org --catch-up")
@who
@click.option("--catch-up", is_flag=True, help="Keep the original dates, and send missed emails one a day.")
@as_json
@speaks_plainly
def resume(who: str, catch_up: bool, as_json: bool) -> None:
    """Continue a paused enrollment; its remaining emails move by the length of the pause."""
    _decide(who, as_json, lambda actions, run: actions.resume(run, catch_up=catch_up))


@click.command(cls=Command, epilog="evergreen cancel ada@example.org")
@who
@yes
@as_json
@speaks_plainly
def cancel(who: str, yes: bool, as_json: bool) -> None:
    """End an enrollment for good."""
    _decide(who, as_json, lambda actions, run: actions.cancel(run), "" if yes else "End it for good?")


@click.command(cls=Command, epilog="evergreen skip ada@example.org 3")
@who
@step_number
@as_json
@speaks_plainly
def skip(who: str, step: int, as_json: bool) -> None:
    """Skip one email that is waiting, failed or in doubt."""
    _decide(who, as_json, lambda actions, run: actions.skip(run, step))


@click.command("send-now", cls=Command, epilog="evergreen send-now ada@example.org 3")
@who
@step_number
@as_json
@speaks_plainly
def send_now(who: str, step: int, as_json: bool) -> None:
    """Send one email now, before its time and ahead of the queue."""
    _decide(who, as_json, lambda actions, run: actions.send_now(run, step))


@click.command(
    cls=Command, epilog="evergreen retry ada@example.org 3\nevergreen retry ada@example.org 3 --as-new --whole-batch"
)
@who
@step_number
@click.option("--as-new", is_flag=True, help="Send it as a new email, even though the first may have arrived.")
@click.option("--anew", "as_new", is_flag=True, hidden=True)
@click.option("--whole-batch", is_flag=True, help="Retry every email in doubt that was posted in the same request.")
@yes
@as_json
@speaks_plainly
def retry(who: str, step: int, as_new: bool, whole_batch: bool, yes: bool, as_json: bool) -> None:
    """Retry an email that failed or is in doubt."""

    def decide(actions: EnrollmentActions, run: str) -> None:
        if whole_batch and not yes:
            twice = "; each may arrive twice" if as_new else ""
            click.confirm(
                f"{len(actions.batch(run, step))} emails of the batch are in doubt{twice}. Try them again?",
                abort=True,
                err=True,
            )
        actions.retry(run, step, as_new=as_new, whole_batch=whole_batch)

    _decide(who, as_json, decide, "It may arrive twice. Send it again?" if as_new and not (yes or whole_batch) else "")


@click.command(cls=Command, epilog="evergreen show ada@example.org")
@who
@as_json
@speaks_plainly
def show(who: str, as_json: bool) -> None:
    """Show an enrollment, or all enrollments of an address, with every email, in the person's local time."""
    desk = _desk()
    runs = [run.id for run in desk.runs_of(who)] if "@" in who else [who]
    found = [detail for run in runs if (detail := desk.detail(run))]
    if not found:
        raise ActionError("there is no such enrollment; `evergreen list` shows them all")
    _show(found, as_json)


@click.command("list", cls=Command, epilog="evergreen list --campaign christmas --state paused")
@click.option("--campaign", metavar="SLUG", help="Only enrollments of this campaign.")
@click.option("--state", type=click.Choice([str(state) for state in LISTED]), help="Only enrollments in this state.")
@click.option("--page", type=click.IntRange(min=0), default=0, help="Page to show, as printed below the page before.")
@as_json
@speaks_plainly
def list_runs(campaign: str | None, state: str | None, page: int, as_json: bool) -> None:
    """List enrollments, latest first."""
    desk = _desk()
    found = desk.page(page, slug=campaign, state=state)
    if as_json:
        print_json(found)
        return
    zone = desk.settings.business_timezone
    who = Column("Person, enrollment", no_wrap=True, overflow="ignore")  # for copying, so never cut
    table = Table(who, "State", "Sent", f"Next email ({zone})", box=None, pad_edge=False)
    for run in found["enrollments"]:
        sent, next_at = f"{run['sent']} of {run['of']}", _local(run["next_email_at"], zone, "%a %d %b %H:%M")
        table.add_row(f"{escape(run['email'] or '')}\n[dim]{run['id']}[/]", _colored(run["state"]), sent, next_at)
    console.print(table if found["enrollments"] else "No enrollments.")
    if found["next"]:
        console.print(f"Next page: --page {found['next']}")


@click.command("stop-sending", cls=Command, epilog='evergreen stop-sending "the price in the emails is wrong"')
@click.argument("reason", default=STOPPED)
@as_json
@speaks_plainly
def stop_sending(reason: str, as_json: bool) -> None:
    """Stop all email until `start-sending`. Health and console show REASON meanwhile."""
    _set_gate(reason, as_json)


@click.command("start-sending")
@as_json
@speaks_plainly
def start_sending(as_json: bool) -> None:
    """Start sending again, whatever stopped it."""
    _set_gate(None, as_json)


def _set_gate(reason: str | None, as_json: bool) -> None:
    desk = _desk()
    actions = EnrollmentActions(desk.ledger, desk.catalog, desk.settings)
    if reason:
        actions.stop_sending(reason)
    else:
        actions.start_sending()
    if as_json:
        print_json({"sending_stopped": reason})
    else:
        console.print(
            "Nothing is sent until `evergreen start-sending`." if reason else "Sending again: due emails go out now."
        )


def _show(runs: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(runs)
        return
    for run in runs:
        why = f" ({escape(run['why'])})" if run["why"] else ""
        console.print(
            f"[bold]{run['campaign_name']}[/], {escape(run['email'] or '')}: "
            f"{_colored(run['state'])}{why}\n{run['id']}",
            soft_wrap=True,
        )
        table = Table("", "State", f"When ({run['timezone']})", "", box=None, pad_edge=False)
        for step in run["steps"]:
            when = step["sent_at"] or (step["next"] if run["state"] == "active" else None) or step["due"]
            table.add_row(
                str(step["step"]), _colored(step["state"]), _local(when, run["timezone"]), escape(step["why"] or "")
            )
        console.print(table)


def _colored(state: str) -> str:
    return f"[{COLORS[state]}]{state}[/]" if state in COLORS else state


def _local(instant: str | None, zone: str, form: str = "%a %Y-%m-%d %H:%M:%S") -> str:
    return datetime.fromisoformat(instant).astimezone(ZoneInfo(zone)).strftime(form) if instant else ""


COMMANDS = (pause, resume, cancel, skip, send_now, retry, show, list_runs, stop_sending, start_sending)
