"""`evergreen purge`: remove what a flood of sign-ups has left."""

from __future__ import annotations

from dataclasses import asdict

import click

from commands import clients
from commands.arguments import ago
from commands.outside import follow, yes
from commands.overview import Command
from commands.printing import as_json, console, print_json, speaks_plainly
from shared import services
from shared.ledger.answers import Purged
from shared.ledger.rewriting import Log
from shared.operations import purging


@click.command(cls=Command, epilog="evergreen purge --since 2h --unconfirmed")
@click.option("--since", required=True, metavar="TIME", help="How far back: 2h, 3d, or a time like 2026-12-01T09:30.")
@click.option("--unconfirmed", is_flag=True, help="Only sign-ups that nothing proves and no one confirmed.")
@yes
@as_json
@speaks_plainly
def purge(since: str, unconfirmed: bool, yes: bool, as_json: bool) -> None:
    """Erase the sign-ups of a flood, with their emails and their rows in Notion.

    Contacts that were there before stay, and those that confirmed their address, booked, or came by a proved way."""
    if not unconfirmed:
        raise click.UsageError("add --unconfirmed: only sign-ups that no one confirmed can be purged")
    found, ledger, slugs = clients.settings(), clients.ledger(), list(services.catalog().campaigns)
    start = ago(since, ledger.now(), found)
    if not yes:
        console.print(_sentence("This erases", purging.count(ledger, start, slugs, follow)))
        click.confirm("Erase them for good?", abort=True, err=True)
    done = purging.purge(ledger, start, slugs, services.notion() if found.notion_token else None, follow)
    if as_json:
        counts = asdict(done.purged) | {"pages": done.trashed, "pages_kept": done.kept, "log": done.log}
        return print_json(counts)
    console.print(_sentence("Erased:", done.purged))
    console.print(f"Pages moved to Notion's trash: {done.trashed}.")
    if done.kept:
        console.print(f"Pages that are still in Notion: {done.kept}. Delete those rows there.")
    if done.log not in (Log.REWRITTEN, Log.ABSENT):
        console.print("Redis's append-only file still holds them: run BGREWRITEAOF there.")


def _sentence(start: str, count: Purged) -> str:
    return (
        f"{start} {count.held} sign-ups that wait for confirmation, {count.contacts} contacts and "
        f"{count.enrollments} enrollments."
    )
