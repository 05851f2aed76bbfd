"""`evergreen import`: people from a CSV file."""

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
from shared.intake import csv_file, csv_import
from shared.intake.context import Intake
from shared.intake.csv_file import Sheet
from shared.intake.csv_rows import Fault

TRIGGERS = ("signup", "assessment", "christmas-signup", "christmas-assessment")


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
    sheet = csv_file.read(file, campaign=campaign.slug if campaign else None, now=now)
    if trigger and "consent" not in sheet.columns and not consent_on_file:
        raise click.UsageError(
            "the file has no column `consent`; add one (yes or no), or --consent-on-file if you can prove consent"
        )
    notes: list[Fault] = []
    if applying:
        intake = Intake(ledger, catalog, found, now, log.request_id(), page=f"import of {file.name}")
        done = csv_import.apply(sheet.rows, intake, trigger=trigger, consent_on_file=consent_on_file)
        notes += filter(None, track(done, "Importing", len(sheet.rows), console=console, disable=as_json))
    _report(sheet, notes, applying, as_json)
    sys.exit(bool(sheet.faults))


def _report(sheet: Sheet, notes: list[Fault], applied: bool, as_json: bool) -> None:
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
