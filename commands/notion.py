"""`evergreen notion`: create what Evergreen needs in Notion, or check that it is there."""

from __future__ import annotations

import sys

import click
from rich.table import Table

from commands import clients
from commands.overview import Command
from commands.printing import MARKS, as_json, console, print_json, speaks_plainly
from shared import services
from shared.integrations.notion_values import page_id
from shared.notion import database_setup, setup_check


@click.group()
def notion() -> None:
    """Create or check the four databases: contacts, tracker, email log, templates."""


@notion.command()
@as_json
@speaks_plainly
def check(as_json: bool) -> None:
    """Check every database and column, and say how to fix what is wrong.

    Finds what is missing, misspelled or of the wrong type. Exit status 1 when something must be fixed."""
    found, client = clients.settings("notion_token"), services.notion(lambda: None)
    with console.status("Checking Notion ..."):
        findings = setup_check.check(client, found, clients.notion_columns())
    if as_json:
        print_json([finding.as_dict for finding in findings])
    else:
        table = Table("", "Database", "Column", "Problem", "How to fix it", box=None, pad_edge=False)
        for finding in findings:
            table.add_row(MARKS[finding.level], finding.source, finding.column, finding.message, finding.fix)
        console.print(table)
    sys.exit(any(finding.level == "fault" for finding in findings))


@notion.command(
    cls=Command, epilog="evergreen notion init --parent https://www.notion.so/your-page\nevergreen notion init --add"
)
@click.option("--parent", metavar="PAGE", help="Create missing databases under this page (link or ID).")
@click.option("--add", is_flag=True, help="Add missing columns to existing databases.")
@as_json
@speaks_plainly
def init(parent: str | None, add: bool, as_json: bool) -> None:
    """Create what is missing, and leave the rest as it is."""
    if not parent and not add:
        raise click.UsageError(
            "say what to do: --parent PAGE creates missing databases, --add adds missing columns to existing ones"
        )
    found, client = clients.settings("notion_token"), services.notion(lambda: None)
    with console.status("Creating in Notion ..."):
        changed = database_setup.init(client, found, parent=page_id(parent) if parent else None, add=add)
    if as_json:
        print_json(
            [{"setting": source.setting.upper(), "id": id, "columns": columns} for source, id, columns in changed]
        )
        return
    for source, id, columns in changed:
        console.print(f"[green]{source.title}[/]: {', '.join(columns)}")
        if not getattr(found, source.setting):
            console.print(f"  add this to your settings:  [bold]{source.setting.upper()}={id}[/]", soft_wrap=True)
    if not changed:
        console.print("Nothing was missing.")
