"""`evergreen diff`: what a changed campaign folder means for enrolled people."""

from __future__ import annotations

import io
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table

from commands import clients
from commands.outside import follow
from commands.overview import Command
from commands.printing import as_json, console, print_json, speaks_plainly
from shared import services
from shared.domain import campaign_files
from shared.domain.campaign_files import CAMPAIGNS
from shared.domain.enrollments import Contact
from shared.domain.states import EnrollmentState
from shared.ledger.client import Ledger
from shared.ledger.listing import Listing
from shared.ledger.template_texts import TemplateTexts
from shared.preview import campaign_diff
from shared.preview.campaign_diff import Change, Participant

COLORS = {"step-gone": "bold red", "campaign-gone": "bold red", "step-new": "yellow", "time": "yellow"}


@click.command(cls=Command, epilog="evergreen diff\nevergreen diff v1.4 --offline")
@click.argument("old", metavar="[OLD_FOLDER_OR_GIT_REV]", default="HEAD")
@click.option("--offline", is_flag=True, help="Do not read Redis; show only what differs, with changed lines.")
@as_json
@speaks_plainly
def diff(old: str, offline: bool, as_json: bool) -> None:
    """Show what your changes to the campaigns mean, and for how many enrolled people.

    Compares the campaigns with another folder or a git revision (HEAD by default). Changes nothing."""
    found = clients.settings()
    folder = Path(found.campaigns_dir) if found.campaigns_dir else CAMPAIGNS
    with _folder_of(old, folder) as before:
        was = campaign_files.load(before)
    if offline:
        changes = campaign_diff.diff(was, services.catalog(), None)
    else:
        ledger = clients.ledger()
        changes = campaign_diff.diff(was, services.catalog(), _participants(ledger), TemplateTexts(ledger).sources())
    if as_json:
        return print_json([change.as_dict for change in changes])
    _print(changes, offline)


@contextmanager
def _folder_of(old: str, folder: Path) -> Iterator[Path]:
    """The named folder, or the campaigns' folder at a revision."""
    if Path(old).is_dir():
        yield Path(old)
        return
    command = ["git", "-C", str(folder), "archive", "--format=zip", old, "."]
    try:
        archive = subprocess.run(command, capture_output=True, check=True).stdout  # noqa: S603 - git, without a shell
    except FileNotFoundError:
        raise click.ClickException(f"git is not installed; name a folder instead of {old!r}") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()[:1]
        raise click.ClickException(
            f"{old!r} is neither a folder nor a revision that contains {folder} ({' '.join(said)})"
        ) from None
    with tempfile.TemporaryDirectory() as kept:
        with zipfile.ZipFile(io.BytesIO(archive)) as packed:
            packed.extractall(kept)
        yield Path(kept)


def _participants(ledger: Ledger) -> list[Participant]:
    """Every open enrollment."""
    found = []
    for name in follow(_names(ledger), "Reading the ledger"):
        run = ledger.enrollment(name)
        if run:
            found.append(Participant(run, ledger.contact(run.contact) or Contact()))
    return found


def _names(ledger: Ledger) -> Iterator[str]:
    for state in (state for state in EnrollmentState if state.is_open):
        start: int | None = 0
        while start is not None:
            page = Listing(ledger).page(start, 500, state=state)
            yield from page.enrollments
            start = page.next


def _print(changes: list[Change], offline: bool) -> None:
    if not changes:
        console.print("[green]The campaigns are the same.[/]")
        return
    console.print(_table(changes, offline))
    for change in changes if offline else ():
        if change.diff:
            console.print(Syntax(change.diff, "diff", background_color="default", word_wrap=True))


def _table(changes: list[Change], offline: bool) -> Table:
    """The changes; without a ledger, no one is counted."""
    table = Table(
        "Campaign", "Step", "What", *([] if offline else ["People"]), "What it means", box=None, pad_edge=False
    )
    for change in changes:
        what = f"[{COLORS[change.what]}]{change.what}[/]" if change.what in COLORS else change.what
        people = "" if change.people is None else f"{change.people:,}"
        counted = [] if offline else [people]
        table.add_row(change.campaign, str(change.step or ""), what, *counted, escape(change.meaning))
    return table
