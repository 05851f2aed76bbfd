"""`evergreen templates`: push the emails to Notion, pull, check and preview them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TypeVar

import click
from rich.progress import Progress
from rich.table import Table

from commands import clients
from commands.overview import Command
from commands.printing import as_json, console, print_json, speaks_plainly
from commands.template_preview import preview
from shared import services
from shared.core.errors import CampaignError, NotionError
from shared.core.settings import Settings
from shared.domain.catalog import Catalog
from shared.emails.template_store import Key, compile_source
from shared.integrations.notion import Notion
from shared.ledger.template_texts import TemplateTexts
from shared.notion.data_sources import locate
from shared.notion.schema import TEMPLATES
from shared.notion.template_pull import Puller
from shared.notion.template_push import Pusher
from shared.notion.template_rows import Row, fault_of, key_of, rows, source_of

COLORS = {
    "created": "green",
    "updated": "green",
    "adopted": "green",
    "rejected": "bold red",
    "kept": "yellow",
    "unread": "yellow",
}
Entry = TypeVar("Entry")


def _followed(entries: Iterator[Entry], total: int, label: str) -> list[Entry]:
    """All entries, with a progress bar on a terminal."""
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        return list(progress.track(entries, total=total, description=label))


def _print_rows(entries: list[tuple[str, str, str]]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, what, why in entries:
        table.add_row(name, f"[{COLORS.get(what, 'dim')}]{what}[/]", why)
    console.print(table)


@click.group()
def templates() -> None:
    """Check, preview, push and pull the emails."""


templates.add_command(preview)


@templates.command(cls=Command, epilog="evergreen templates push --dry-run")
@click.option("--force", is_flag=True, help="Overwrite your edits in Notion too.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@as_json
@speaks_plainly
def push(force: bool, dry_run: bool, as_json: bool) -> None:
    """Create a row and a page in Notion for each email. Your edits stay."""
    found = clients.settings("notion_token", "notion_templates_db_id")
    campaigns, ledger = services.catalog(), clients.ledger()
    pusher = Pusher(services.notion(), campaigns, found, TemplateTexts(ledger), force, dry_run)
    done = _followed(pusher.push(), len(campaigns.sources), "Pushing")
    if as_json:
        print_json([pushed.as_dict for pushed in done])
        return
    _print_rows([(pushed.name, pushed.what, pushed.why) for pushed in done])
    if dry_run:
        console.print("Nothing was written: this was a dry run.")


@templates.command()
@as_json
@speaks_plainly
def pull(as_json: bool) -> None:
    """Take every Live email from Notion now, and list what is rejected.

    The scheduler does this every 20 seconds. Exit status 1 if one was rejected."""
    found = clients.settings("notion_token", "notion_templates_db_id")
    ledger = clients.ledger()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Pulling")
        adopter = Puller(ledger, services.catalog(), found, services.notion())
        verdicts = adopter.pull(lambda done, of: progress.update(task, completed=done, total=of))
    if as_json:
        print_json([verdict.as_dict for verdict in verdicts])
    else:
        _print_rows([(verdict.name, verdict.what, verdict.sentence) for verdict in verdicts])
        if not verdicts:
            console.print("There are no rows yet; `evergreen templates push` creates them.")
    sys.exit(any(verdict.what == "rejected" for verdict in verdicts))


@templates.command(cls=Command, epilog="evergreen templates lint --notion")
@click.option("--notion", "in_notion", is_flag=True, help="Check the pages in Notion too, drafts included.")
@as_json
@speaks_plainly
def lint(in_notion: bool, as_json: bool) -> None:
    """Check every email, and change nothing.

    Exit status 1 if one has an error."""
    found = clients.settings(*(("notion_token", "notion_templates_db_id") if in_notion else ()))
    campaigns = services.catalog()
    faults = [fault for key in campaigns.sources if (fault := _file_fault(key, campaigns, found))]
    count = len(campaigns.sources)
    if in_notion:
        looked = _row_faults(campaigns, found)
        faults += [fault for fault in looked if fault]
        count += len(looked)
    if as_json:
        print_json(faults)
    else:
        for fault in faults:
            console.print(fault, markup=False, soft_wrap=True)
        if not faults:
            console.print(f"[green]All {count} emails are OK.[/]")
    sys.exit(bool(faults))


def _file_fault(key: Key, campaigns: Catalog, found: Settings) -> str:
    try:
        compile_source(campaigns.sources[key], key, campaigns, found)
    except CampaignError as error:
        return str(error)
    return ""


def _row_faults(campaigns: Catalog, found: Settings) -> list[str]:
    """For each row in Notion, what is wrong with it; empty if nothing is."""
    notion = services.notion(lambda: None)
    there = rows(notion, locate(notion, TEMPLATES, found), found)
    return _followed((_row_fault(row, notion, campaigns, found) for row in there), len(there), "Reading Notion")


def _row_fault(row: Row, notion: Notion, campaigns: Catalog, found: Settings) -> str:
    where = f"Notion, {row.template_id or '(no Template ID)'}"
    try:
        key = key_of(row, campaigns)
        sentence = fault_of(source_of(row, notion.markdown(row.page)), key, campaigns, found)
    except CampaignError as error:
        sentence = str(error)
    except NotionError as error:
        if error.kind != "refused":
            raise
        sentence = error.reason
    return sentence and f"{where}: {sentence}"
