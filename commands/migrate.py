"""`evergreen migrate`: update what an older release stored."""

from __future__ import annotations

from collections.abc import Sequence

import click

from commands import clients
from commands.outside import follow, yes
from commands.printing import as_json, console, print_json, speaks_plainly
from shared import services
from shared.ledger.migrations import Migration, Slice, broke_off, migrate, waiting

BACKUP = (
    "`make backup` on one machine; in the cluster `kubectl -n evergreen create job backup-now "
    "--from=cronjob/valkey-backup`"
)


@click.command("migrate")
@yes
@as_json
@speaks_plainly
def migrate_ledger(yes: bool, as_json: bool) -> None:
    """Update the ledger to this release's version, once every scheduler and worker runs it. Emails keep going out.

    An interrupted migration continues where it stopped. A ledger that needs no migration stays as it is."""
    clients.settings("redis_url")
    ledger = services.ledger()
    before, wanted = ledger.version(), waiting(ledger)
    if not as_json:
        _print_waiting(before, wanted, broke_off(ledger))
    if wanted and not yes:
        click.echo(f"Older releases cannot use it afterwards, and only a backup takes you back: {BACKUP}.", err=True)
        click.confirm("Have you made a backup?", abort=True, err=True)
    done: list[Slice] = [each for each in follow(migrate(ledger), "Migrating") if each.done]
    if as_json:
        numbers = [migration.number for migration in wanted]
        changed = {str(each.migration.number): each.changed for each in done}
        return print_json({"before": before, "version": ledger.version(), "waiting": numbers, "changed": changed})
    for each in done:
        console.print(f"[green]{each.migration.number} is done:[/] {each.changed} changed.")
    if done:
        console.print(f"The ledger has version {ledger.version()}.")


def _print_waiting(version: int, wanted: Sequence[Migration], interrupted: int | None) -> None:
    console.print(f"The ledger has version {version}{'' if wanted else ' and needs no migration'}.")
    for migration in wanted:
        again = ", which was interrupted" if migration.number == interrupted else ""
        console.print(f"  {migration.number}{again}: {migration.sentence}", soft_wrap=True)
