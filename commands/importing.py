"""`evergreen import`: people from a CSV file."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

import click
from rich.progress import track
from rich.table import Table

from commands import clients
from commands.overview import Command
from commands.printing import as_json, console, print_json, speaks_plainly
from shared import services
from shared.core import log
from shared.intake import csv_people
from shared.intake.context import Intake
from shared.intake.csv_file import ENCODINGS
from shared.intake.csv_import import Import, Result
from shared.intake.csv_people import People

TRIGGERS = ("signup", "assessment", "christmas-signup", "christmas-assessment")
LISTED = 20  # lines of each result
WORDS = {
    "enrolled": "enrolled",
    "suppressed": "suppressed",
    "exists": "enrolled before",
    "queued": "queued behind another enrollment",
    "blocked": "blocked by another enrollment",
    "stored": "only stored",
    "refused": "refused",
}
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}


@dataclass
class Outcome:
    """What became of a file, or would.

    Attributes:
        counts: how many people, or lines that were refused, had each result.
        listed: the first of each result, if they have a reason.
    """

    people: People
    applied: bool
    counts: Counter[str] = field(default_factory=Counter)
    listed: defaultdict[str, list[Result]] = field(default_factory=lambda: defaultdict(list))

    def add(self, result: Result, most: int) -> None:
        """Count a result, and list it if it has a reason and fewer than `most` of its kind are listed."""
        self.counts[result.what] += 1
        if result.message and len(self.listed[result.what]) < most:
            self.listed[result.what].append(result)

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        reasons = {what: [asdict(result) for result in results] for what, results in self.listed.items()}
        return {
            "applied": self.applied,
            "encoding": ENCODINGS[self.people.file.encoding],
            "people": self.people.count,
            "merged": self.people.doubles,
            "ignored_columns": self.people.file.ignored,
            "counts": self.counts,
            "faults": reasons.pop("refused", []),
            "notes": sorted(chain(*reasons.values()), key=itemgetter("line")),
        }

    def print(self) -> None:
        """The counts first, then the reasons."""
        file = self.people.file
        assumed = " (assumed, as it is not UTF-8)" if file.encoding == "cp1252" else ""
        separator = SEPARATORS.get(file.delimiter, file.delimiter)
        console.print(f"Read as {ENCODINGS[file.encoding]}{assumed}, separated by {separator}.", markup=False)
        if file.ignored:
            console.print(f"Ignored columns: {', '.join(file.ignored)}", markup=False)
        console.print(f"People: {self.people.count}. Lines merged: {self.people.doubles}.")
        console.print(self._summary(), markup=False)
        table = Table("Line", "Column", "Result", "Why", box=None, pad_edge=False)
        for what in dict.fromkeys(("refused", "suppressed", *self.listed)):
            for each in self.listed[what]:
                table.add_row(str(each.line), each.field, what, each.message)
            if self.listed[what] and (more := self.counts[what] - len(self.listed[what])):
                table.add_row("…", "", what, f"and {more} more; --json lists them all")
        if table.rows:
            console.print(table)
        if not self.applied:
            console.print("Nothing was changed; add --apply to import.")

    def _summary(self) -> str:
        order = dict.fromkeys((*WORDS, *self.counts))
        found = ", ".join(f"{self.counts[what]} {WORDS.get(what, what)}" for what in order if self.counts[what])
        if self.counts.total() == self.counts["refused"]:
            return f"Nothing {'was' if self.applied else 'would be'} imported{': ' + found if found else ''}."
        return f"{'Imported' if self.applied else 'With --apply'}: {found}."


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

    Columns: email, name, first_name, business_name, timezone, scores, consent, consent_text, campaign, start. People
    who unsubscribed, bounced or complained in another email tool are suppressed, if its export says so. Invalid or
    unclear lines are listed and skipped. Exit status 1 if there are any."""
    found, ledger, catalog = clients.settings(), clients.ledger(), services.catalog()
    campaign = catalog.triggered_by(trigger) if trigger else None
    if trigger and not campaign:
        raise click.UsageError(f"no campaign starts with {trigger}")
    now = ledger.now()
    people = csv_people.read(file, campaign=campaign.slug if campaign else None, now=now, zone=found.business_timezone)
    if trigger and "consent" not in people.file.columns and not consent_on_file:
        raise click.UsageError(
            "the file has no column `consent`; add one (yes or no), or --consent-on-file if you can prove consent"
        )
    intake = Intake(ledger, catalog, found, now, log.request_id(), page=f"import of {file.name}")
    planned = Import(people, intake, trigger, consent_on_file)
    done = planned.apply() if applying else planned.preview()
    total = people.count + len(people.faults)
    outcome = Outcome(people, applied=applying)
    for result in track(done, "Importing" if applying else "Checking", total, console=console, disable=as_json):
        outcome.add(result, most=sys.maxsize if as_json else LISTED)
    if as_json:
        print_json(outcome.as_json())
    else:
        outcome.print()
    sys.exit(bool(outcome.counts["refused"]))
