"""`evergreen fence`: whether this copy of the ledger may send, and how to let it."""

from __future__ import annotations

import click

from commands.outside import command, connect, yes
from commands.overview import Command
from commands.printing import as_json, console, print_json
from shared.integrations.notion_values import iso
from shared.ledger.client import Ledger
from shared.ledger.fence_state import FenceState
from shared.ledger.listing import Listing
from shared.recovery.fence import Fence

TAKE_OVER = "Another copy may be sending right now. Have you stopped it?"
FRESH = "The tracker's enrollments will stay unknown: people who sign up again get every email again. Continue?"


@click.command(cls=Command, epilog="evergreen fence\nevergreen fence --take-over")
@click.option("--take-over", is_flag=True, help="Let this copy send from now on; any other stops within a minute.")
@click.option("--fresh", is_flag=True, help="Start fresh beside a tracker with enrollments unknown to this Redis.")
@yes
@as_json
@command
def fence(take_over: bool, fresh: bool, yes: bool, as_json: bool) -> None:
    """Show whether this copy may send and, if not, why. Exit status 1 if it may not."""
    if take_over and fresh:
        raise click.UsageError("use either --take-over or --fresh, not both")
    outside = connect()
    if take_over or fresh:
        if not yes:
            click.confirm(TAKE_OVER if take_over else FRESH, abort=True, err=True)
        Fence(outside.ledger, outside.settings, outside.notion).claim()
    holds, why, since = state(outside.ledger)
    if as_json:
        print_json({"holds": holds, "why": why, "confirmed_at": since})
    elif holds:
        console.print(f"[green]This copy may send.[/] Notion last confirmed it at {since}.")
    else:
        _print_refusal(outside.ledger, why)
    raise SystemExit(0 if holds else 1)


def _print_refusal(ledger: Ledger, why: str | None) -> None:
    console.print(f"[bold red]This copy may not send:[/] {why}.", soft_wrap=True)
    if next(Listing(ledger).every(), None) is None:
        console.print("This Redis holds no enrollments. If the ledger was lost, `evergreen restore` rebuilds it.")


def state(ledger: Ledger) -> tuple[bool, str | None, str | None]:
    """Whether this copy may send, why not, and when Notion last confirmed it (ISO 8601)."""
    fence_state = FenceState(ledger)
    found, why = fence_state.read(), fence_state.refusal()
    if not found.get("confirmed") and not why:
        why = "the scheduler has not checked yet; is it running?"
    return why is None, why, iso(int(found["at"])) if found.get("at") else None
