"""`evergreen restore`: rebuild a lost ledger from Notion, or take over the active sequences of an earlier build."""

from __future__ import annotations

from itertools import groupby

import click
from rich.markup import escape
from rich.table import Table

from commands.outside import Outside, command, connect, follow, yes
from commands.overview import Command
from commands.printing import as_json, console, print_json
from shared.integrations.notion_values import iso
from shared.notion.template_pull import Puller
from shared.recovery.fence import Fence
from shared.recovery.notion_rows import NotRestored
from shared.recovery.restore import Restorer
from shared.recovery.restore_report import Report

RUNS = {
    "restored": "enrollments that continue",
    "ended": "enrollments that ended since the loss, and stay ended",
    "exists": "existing enrollments, left as they are",
    "marked": "enrollments that are over, and do not continue",
    "tracked": "people who are only tracked",
    "numbered": "new enrollments that keep all their emails, under a new number",
    "thrown": "new enrollments discarded in favor of the lost one",
}
STEPS = {
    "sent": "emails already sent",
    "scheduled": "emails scheduled",
    "skipped": "emails skipped because a later one was sent",
    "failed": "emails that had failed",
    "in-doubt": "emails in doubt",
}
SHOWN = 20  # entries of a list, on a terminal
UNKNOWABLE = (
    "details without a column in Notion: time zone, booking link, the words and time of a consent, webhook details",
    "manual suppressions: these people come back as unsubscribed, and forgotten people may sign up again",
    "meetings and their reminders: book them again, or remind people manually",
    "unsubscribes and bounces that had not reached Notion before the loss",
)


@click.command(cls=Command, epilog="evergreen restore --dry-run\nevergreen restore")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@yes
@as_json
@command
def restore(dry_run: bool, yes: bool, as_json: bool) -> None:
    """Rebuild the ledger from Notion and from Resend's list of sent emails; nothing is sent twice.

    What this ledger has sent stays as it is, and people who signed up since the loss continue where they were.
    Afterwards this copy takes the fence and starts sending."""
    outside = connect()
    if not dry_run and not yes:
        console.print("This rebuilds enrollments from Notion's rows, then sends due emails.")
        click.confirm("Have you stopped every other copy of Evergreen, and the earlier build?", abort=True, err=True)
    if not dry_run:
        _take_texts(outside)
    restorer = Restorer(
        outside.ledger,
        outside.catalog,
        outside.settings,
        outside.notion,
        outside.subjects,
        outside.resend,
        turn=outside.resend_turn,
        follow=follow,
    )
    report = restorer.restore(dry=dry_run)
    if not dry_run:
        Fence(outside.ledger, outside.settings, outside.notion).claim()
    if as_json:
        print_json(report.as_dict)
        return
    _print(report)


def _take_texts(outside: Outside) -> None:
    """The owner's own texts first: their subjects identify emails in Resend's list."""
    if outside.settings.notion_templates_db_id:
        Puller(outside.ledger, outside.catalog, outside.settings, outside.notion).pull()


def _print(report: Report) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="right")
    table.add_row(str(report.contacts), "people")
    for counts, names in ((report.runs, RUNS), (report.steps, STEPS)):
        for name, text in names.items():
            if counts[name]:
                table.add_row(str(counts[name]), f"[bold red]{text}[/]" if name == "in-doubt" else text)
    if report.duplicates:
        table.add_row(str(report.duplicates), "duplicate rows, merged (`evergreen verify` lists them)")
    console.print(table)
    if report.list_from is None:
        console.print("[bold yellow]Resend's list could not be read:[/] due emails without a mark are in doubt.")
    else:
        console.print(f"Resend's list was read back to {iso(report.list_from)}.")
    _print_list("In doubt: check Resend's list, then `evergreen retry` or `evergreen skip`", report.in_doubt)
    _print_list("Paused: `evergreen resume` continues them", report.paused)
    _print_list("Ended since the loss", report.ended)
    _print_list("Started since the loss, and start again under a new number", report.numbered)
    _print_list("Started since the loss, and discarded: none of their emails was sent", report.thrown)
    _print_list("Not restored", report.left)
    _print_list("Check these", report.notes)
    console.print("\n[bold]What cannot be restored[/]")
    for text in UNKNOWABLE:
        console.print(f"  {text}")
    last = (
        "Nothing was written: this was a dry run."
        if report.dry
        else "[green]This copy has taken the fence; sending continues.[/]"
    )
    console.print(f"\n{last}")


def _print_list(title: str, entries: list[NotRestored]) -> None:
    if entries:
        console.print(f"\n[bold]{title}[/]")
        for why, same in groupby(sorted(entries, key=lambda entry: entry.why), key=lambda entry: entry.why):
            rows = [entry.row for entry in same]
            console.print(f"  [dim]{escape(why)}[/]", soft_wrap=True)
            console.print("\n".join(f"    {row}" for row in rows[:SHOWN]))
            if len(rows) > SHOWN:
                console.print(f"    and {len(rows) - SHOWN} more; --json lists them all")
