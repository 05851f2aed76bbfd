"""`evergreen fence`: whether this copy of the ledger may send, and letting it."""

from __future__ import annotations

import click

from commands.outside import command, connect, yes
from commands.printing import as_json, console, print_json
from shared.integrations.notion import iso
from shared.ledger.client import Ledger
from shared.ledger.fence_state import FenceState
from shared.ledger.listing import Listing
from shared.recovery.fence import Fence

TAKE_OVER = "Another copy may be sending at this moment. Is it stopped?"
FRESH = (
    "What stands in the tracker will not be known: who signs up again gets every email again. Begin again without "
    "restoring?"
)


@click.command()
@click.option("--take-over", is_flag=True, help="This copy sends from now on; another one stops within a minute.")
@click.option("--fresh", is_flag=True, help="Begin again beside a tracker whose enrollments this Redis does not know.")
@yes
@as_json
@command
def fence(take_over: bool, fresh: bool, yes: bool, as_json: bool) -> None:
    """Say who may send, and why not; exit status 1 when this copy may not."""
    if take_over and fresh:
        raise click.UsageError("say one of --take-over and --fresh")
    outside = connect()
    if take_over or fresh:
        if not yes:
            click.confirm(TAKE_OVER if take_over else FRESH, abort=True, err=True)
        Fence(outside.ledger, outside.settings, outside.notion).claim()
    holds, why, since = state(outside.ledger)
    if as_json:
        print_json({"holds": holds, "why": why, "confirmed_at": since})
    elif holds:
        console.print(f"[green]This copy may send.[/] Notion confirmed it last at {since}.")
    else:
        console.print(f"[bold red]This copy may not send:[/] {why}.", soft_wrap=True)
        if next(Listing(outside.ledger).every(), None) is None:
            console.print("This Redis holds no enrollment. If it was lost, `evergreen restore` rebuilds it.")
    raise SystemExit(0 if holds else 1)


def state(ledger: Ledger) -> tuple[bool, str | None, str | None]:
    """Whether this copy may send, why not, and when Notion confirmed it last (ISO 8601)."""
    fence_state = FenceState(ledger)
    found, why = fence_state.read(), fence_state.refusal()
    if not found.get("confirmed") and not why:
        why = "the scheduler has not looked yet; is it running?"
    return why is None, why, iso(int(found["at"])) if found.get("at") else None
