"""`evergreen enroll|up|completion`: enroll a person, start the stack, and set up shell completion."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class
from pydantic import ValidationError

from commands import clients
from commands.arguments import campaign_of, instant, zone_of
from commands.overview import Command
from commands.printing import as_json, console, print_json, speaks_plainly
from shared import services
from shared.core import faults, log
from shared.domain.catalog import Campaign
from shared.domain.forms import MeetingEvent, NewClient, NoShow, PostCall, ProvedSignUp
from shared.intake import enrolling, meetings
from shared.intake.context import Intake
from shared.integrations.notion_values import iso
from shared.ledger import ids
from shared.ledger.answers import Enrolled
from shared.ledger.client import Ledger
from shared.preview import plan

ROOT = Path(__file__).parents[1]
REPORTS: dict[str, type[NoShow | PostCall | NewClient]] = {
    "calendly-noshow": NoShow,
    "postcall-maybe": PostCall,
    "onboarding-start": NewClient,
}
SENTENCES = {
    "enrolled": "[green]Enrolled.[/]",
    "queued": "[yellow]Queued:[/] another enrollment of the same group is active; this one starts when that ends.",
    "exists": "[yellow]Nothing changed:[/] they are already enrolled in this campaign.",
    "blocked": "[yellow]Not enrolled:[/] another enrollment of the same group is active.",
    "tracked": (
        "[yellow]Only tracked:[/] the campaign needs an assessment (--score, --red, --orange), or the address gets "
        "no email."
    ),
    "ignored": "[yellow]Nothing changed:[/] the meeting was cancelled.",
}


@click.command(
    cls=Command,
    epilog="evergreen enroll christmas ada@example.org --score 40 --red 2\n"
    "evergreen enroll booking-reminder ada@example.org --meeting 2026-12-03T10:00",
)
@click.argument("slug", metavar="CAMPAIGN")
@click.argument("address")
@click.option("--name", help="The person's full name.")
@click.option("--first-name", help="Only if the name does not start with it.")
@click.option("--business-name", help="The person's business.")
@click.option("--timezone", metavar="ZONE", help="The person's time zone, such as Europe/Rome.")
@click.option("--score", "assessment_score", type=int, help="Assessment score.")
@click.option("--red", "red_systems", type=int, help="Number of red systems.")
@click.option("--orange", "orange_systems", type=int, help="Number of orange systems.")
@click.option("--meeting", metavar="TIME", help="For reminders: when the meeting starts, in the person's time zone.")
@as_json
@speaks_plainly
def enroll(slug: str, address: str, meeting: str | None, as_json: bool, **known: Any) -> None:
    """Enroll a person in a campaign, as its webhook would, and show the result.

    Exit status 1 if no enrollment started."""
    found, catalog = clients.settings(logs="CRITICAL"), services.catalog()
    campaign = campaign_of(catalog, slug)
    if plan.meets(campaign) is not (meeting is not None):
        raise click.UsageError(
            "this campaign has no meeting: leave out --meeting"
            if meeting
            else "say when the meeting starts: --meeting TIME"
        )
    ledger = clients.ledger()
    intake = Intake(ledger, catalog, found, ledger.now(), log.request_id(), page="evergreen enroll")
    zone = zone_of(known["timezone"], found)
    what, run = _enroll({"email": address} | known, campaign, intake, instant(meeting, zone) if meeting else None)
    if as_json:
        next_at = iso(_next(ledger, run)) if what == "enrolled" else None
        print_json({"result": what, "enrollment": run or None, "next_email_at": next_at})
    else:
        console.print(SENTENCES[what] + (f" `evergreen show {run}`" if run else ""), soft_wrap=True)
    raise SystemExit(what != "enrolled")


def _next(ledger: Ledger, enrollment: str) -> int | None:
    """When the next email of an enrollment is due, in milliseconds since 1970 UTC."""
    begun = ledger.enrollment(enrollment)
    return min((step.next for step in begun.steps if step.next), default=None) if begun else None


def _enroll(body: dict[str, Any], campaign: Campaign, intake: Intake, starts: int | None) -> Enrolled:
    """Call the use case behind the campaign's webhook."""
    try:
        if starts is not None:
            contact = ProvedSignUp.model_validate(body).contact_fields()
            uid = f"by-hand-{ids.digest(contact['email'])}-{starts}"
            event = MeetingEvent("booked", f"{uid}-{intake.now}", uid, intake.now, starts=starts, contact=contact)
            return meetings.report(event, trigger=campaign.trigger, intake=intake)
        if model := REPORTS.get(campaign.trigger):
            return enrolling.report(model.model_validate(body), trigger=campaign.trigger, intake=intake).outcome
        return enrolling.sign_up(ProvedSignUp.model_validate(body), trigger=campaign.trigger, intake=intake).outcome
    except ValidationError as error:
        wrong = "; ".join(f"{where or 'it'}: {what}" for where, what in faults.all_of(error))
        raise click.BadParameter(wrong) from None


@click.command()
def up() -> None:
    """Start the whole stack on this machine, until Ctrl-C (like `make run`)."""
    if not (ROOT / "Makefile").is_file():
        raise click.ClickException("this is not a checkout of Evergreen; deploy/ shows how to start a deployed one")
    try:
        # make, wherever it is installed
        os.execvp("make", ["make", "--no-print-directory", "-C", str(ROOT), "run"])  # noqa: S606, S607
    except FileNotFoundError:
        raise click.ClickException("make is not installed. On Debian and Ubuntu: sudo apt-get install make") from None


@click.command(
    cls=Command,
    epilog="evergreen completion fish > ~/.config/fish/completions/evergreen.fish\n"
    "evergreen completion bash > \\\n"
    "  ~/.local/share/bash-completion/completions/evergreen",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that lets your shell complete commands and options."""
    script = get_completion_class(shell)
    if script:
        click.echo(script(context.find_root().command, {}, "evergreen", "_EVERGREEN_COMPLETE").source())
