"""`evergreen forget|export|import|suppress|unsuppress`: people, their data, and who gets no email."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.progress import track
from rich.table import Table

from commands import clients
from commands.overview import Command
from commands.printing import as_json, console, print_json, speaks_plainly
from shared import services
from shared.core import log
from shared.domain.enrollments import normalized
from shared.intake import csv_import
from shared.intake.enrolling import Intake
from shared.integrations.notion import iso
from shared.ledger.contacts import Contacts
from shared.operations import privacy, suppressions

TRIGGERS = ("signup", "assessment", "christmas-signup", "christmas-assessment")


def _address(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    address = normalized(value) if value else None
    if address and "@" not in address:
        raise click.BadParameter("not a valid email address")
    return address


address = click.argument("address", callback=_address)


@click.command(cls=Command, epilog="evergreen forget ada@example.org")
@address
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@as_json
@speaks_plainly
def forget(address: str, yes: bool, as_json: bool) -> None:
    """Erase a person, here and in Notion.

    Kept, under a hash of the address: that no campaign starts again for them, and that they want no email."""
    found, ledger = clients.settings(), clients.ledger()
    if not yes:
        click.confirm(
            f"Erase {address} for good, with all emails still scheduled and the rows in Notion?",
            abort=True,
            err=True,
        )
    done = privacy.forget(address, ledger, found, services.notion() if found.notion_token else None)
    if as_json:
        return print_json({"erased": asdict(done.erased), "notion_pages": done.pages, "by_hand": done.left})
    erased = done.erased
    counts = {
        "enrollments": erased.enrollments,
        "meetings": erased.meetings,
        "kept requests": erased.requests,
        "notes": erased.notes,
    }
    counts["pages moved to Notion's trash"] = done.pages
    console.print("Erased:", ", ".join(f"{name} {count}" for name, count in counts.items()), soft_wrap=True)
    console.print("\nLeft for you to do:")
    for sentence in done.left:
        console.print(f"- {sentence}", soft_wrap=True)


@click.command(cls=Command, epilog="evergreen export ada@example.org > ada.json")
@address
@as_json
@speaks_plainly
def export(address: str, as_json: bool) -> None:
    """Print everything stored about a person, as JSON (with or without --json). Exit status 1 if nothing is stored."""
    clients.settings()
    held = privacy.export(address, clients.ledger())
    if held is None and not as_json:
        raise click.ClickException("nothing is stored about this address")
    print_json(held)
    sys.exit(held is None)


@click.command(cls=Command, epilog="evergreen suppress ada@example.org\nevergreen suppress --list")
@click.argument("address", required=False, callback=_address)
@click.option("--list", "listing", is_flag=True, help="List suppressed addresses, latest first.")
@as_json
@speaks_plainly
def suppress(address: str | None, listing: bool, as_json: bool) -> None:
    """Stop all email to an address from now on; its enrollments end."""
    if bool(address) == listing:
        raise click.UsageError("give an address, or --list")
    clients.settings()
    ledger = clients.ledger()
    if address:
        ended = suppressions.suppress(address, ledger)
        if as_json:
            return print_json({"email": address, "ended": ended})
        return console.print(f"{address} gets no more email. Enrollments ended: {ended}.")
    found = Contacts(ledger).suppressions()
    if as_json:
        return print_json(
            [asdict(each) | {"reasons": {reason: iso(at) for reason, at in each.reasons.items()}} for each in found]
        )
    table = Table("Who", "Why", "Since", box=None, pad_edge=False)
    for each in found:
        table.add_row(
            each.email or f"(unknown, {each.contact})",
            ", ".join(each.reasons),
            iso(min(each.reasons.values(), default=None)) or "",
        )
    console.print(table if found else "No address is suppressed.")


@click.command(cls=Command, epilog="evergreen unsuppress ada@example.org --i-have-their-consent")
@address
@click.option(
    "--i-have-their-consent",
    "has_consent",
    is_flag=True,
    help="The person has asked for email again; this removes an unsubscribe.",
)
@as_json
@speaks_plainly
def unsuppress(address: str, has_consent: bool, as_json: bool) -> None:
    """Allow email again to an address that bounced, complained or was suppressed manually.

    Enrollments that ended stay ended."""
    clients.settings()
    lifted = suppressions.unsuppress(address, clients.ledger(), has_consent=has_consent)
    if as_json:
        return print_json({"email": address, "lifted": lifted})
    console.print(f"Unblocked. Removed: {', '.join(lifted)}." if lifted else "This address was not suppressed.")
    if "bounced" in lifted or "complained" in lifted:
        console.print("Resend has its own suppression list: remove the address there too.")


@click.command(
    "import",
    cls=Command,
    epilog="evergreen import people.csv\nevergreen import people.csv --trigger christmas-signup --apply",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--apply", "applying", is_flag=True, help="Import the file; without this, it is only checked.")
@click.option(
    "--trigger",
    type=click.Choice(TRIGGERS),
    help="Enroll in the campaign of this webhook; without it, people are only stored.",
)
@click.option("--consent-on-file", is_flag=True, help="Everyone in the file has consented, and you can prove it.")
@as_json
@speaks_plainly
def import_people(file: Path, applying: bool, trigger: str | None, consent_on_file: bool, as_json: bool) -> None:
    """Import people from a CSV file.

    Columns: email, name, first_name, business_name, timezone, scores, consent, consent_text, campaign, start. Invalid
    lines are listed and skipped. Exit status 1 if there are any."""
    found, ledger, catalog = clients.settings(), clients.ledger(), services.catalog()
    campaign = catalog.triggered_by(trigger) if trigger else None
    if trigger and not campaign:
        raise click.UsageError(f"no campaign starts with {trigger}")
    now = ledger.now()
    sheet = csv_import.read(file, campaign=campaign.slug if campaign else None, now=now)
    if trigger and "consent" not in sheet.columns and not consent_on_file:
        raise click.UsageError(
            "the file has no column `consent`; add one (yes or no), or --consent-on-file if you can prove consent"
        )
    notes: list[csv_import.Fault] = []
    if applying:
        intake = Intake(ledger, catalog, found, now, log.request_id(), page=f"import of {file.name}")
        done = csv_import.apply(sheet.rows, intake, trigger=trigger, consent_on_file=consent_on_file)
        notes = [note for note in track(done, "Importing", len(sheet.rows), console=console, disable=as_json) if note]
    _report(sheet, notes, applying, as_json)
    sys.exit(bool(sheet.faults))


def _report(sheet: csv_import.Sheet, notes: list[csv_import.Fault], applied: bool, as_json: bool) -> None:
    if as_json:
        shown = {"faults": [asdict(fault) for fault in sheet.faults], "notes": [asdict(note) for note in notes]}
        return print_json(
            {"applied": applied, "people": len(sheet.rows), "merged": sheet.doubles, "ignored_columns": sheet.unknown}
            | shown
        )
    if sheet.unknown:
        console.print(f"Ignored columns: {', '.join(sheet.unknown)}", markup=False)
    table = Table("Line", "Column", "Problem", box=None, pad_edge=False)
    for each in [*sheet.faults, *notes]:
        table.add_row(str(each.line), each.field, each.message)
    if table.rows:
        console.print(table)
    agreed = sum(row.form.consent is True for row in sheet.rows)
    console.print(
        f"People: {len(sheet.rows)}, with consent: {agreed}. Lines merged: {sheet.doubles}. Faults: "
        f"{len(sheet.faults)}."
    )
    console.print("Imported." if applied else "Nothing was changed; add --apply to import.")
