"""`evergreen forget|export|suppress|unsuppress`: people, their data, and who gets no email."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click
from rich.table import Table

from commands import arguments, clients
from commands.overview import Command
from commands.printing import as_json, console, print_json, speaks_plainly
from shared import services
from shared.integrations.notion_values import iso
from shared.ledger.contacts import Contacts, Suppression
from shared.ledger.rewriting import Log
from shared.operations import privacy, suppressions
from shared.operations.privacy import Forgotten

REWRITING = "Rewriting Redis's append-only file, which still contains the person; this may take a minute ..."


address = click.argument("address", callback=arguments.address)


@click.command(cls=Command, epilog="evergreen forget ada@example.org")
@address
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@as_json
@speaks_plainly
def forget(address: str, yes: bool, as_json: bool) -> None:
    """Erase a person, here and in Notion.

    Keeps, under a hash of the address, that no campaign may start again for them and that they want no email. Redis's
    append-only file is rewritten, so that the address is not in it either; what is left for you to do is printed.
    Exit status 1 if no one was found."""
    found, ledger = clients.settings(), clients.ledger()
    if not yes:
        click.confirm(
            f"Erase {address} for good, with all emails still scheduled and the rows in Notion?",
            abort=True,
            err=True,
        )
    notion = services.notion() if found.notion_token else None
    done = privacy.forget(address, ledger, found, notion, progress=lambda: click.echo(REWRITING, err=True))
    if as_json:
        known = {"found": done.found, "erased": asdict(done.erased), "notion_pages": done.pages, "log": done.log}
        print_json(known | {"by_hand": done.left})
    else:
        _print_forgotten(done)
    raise SystemExit(not done.found)


def _print_forgotten(done: Forgotten) -> None:
    erased = done.erased
    counts = {
        "enrollments": erased.enrollments,
        "meetings": erased.meetings,
        "kept requests": erased.requests,
        "notes": erased.notes,
    }
    counts["pages moved to Notion's trash"] = done.pages
    if done.found:
        console.print("Erased:", ", ".join(f"{name} {count}" for name, count in counts.items()), soft_wrap=True)
    else:
        console.print(suppressions.UNKNOWN)
    if done.log == Log.REWRITTEN:
        console.print("Redis's append-only file was rewritten, and no longer contains the person.", soft_wrap=True)
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
@click.argument("address", required=False, callback=arguments.address)
@click.option("--list", "listing", is_flag=True, help="List suppressed addresses, latest first.")
@as_json
@speaks_plainly
def suppress(address: str | None, listing: bool, as_json: bool) -> None:
    """Stop all email to an address from now on; its enrollments end.

    Exit status 1 if no one with this address has come yet; if they do, they get no email."""
    if bool(address) == listing:
        raise click.UsageError("give an address, or --list")
    clients.settings()
    ledger = clients.ledger()
    if address:
        ended, known = suppressions.suppress(address, ledger), suppressions.is_known(address, ledger)
        if as_json:
            print_json({"email": address, "ended": ended, "known": known})
        else:
            unknown = "" if known else f" {suppressions.UNKNOWN}"
            console.print(f"{address} gets no more email. Enrollments ended: {ended}.{unknown}", soft_wrap=True)
        raise SystemExit(not known)
    _print_suppressions(Contacts(ledger).suppressions(), as_json)


def _print_suppressions(found: list[Suppression], as_json: bool) -> None:
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

    Enrollments that ended stay ended. Exit status 1 if the address was not suppressed."""
    clients.settings()
    lifted = suppressions.unsuppress(address, clients.ledger(), has_consent=has_consent)
    if as_json:
        print_json({"email": address, "lifted": lifted})
    else:
        console.print(f"Unblocked. Removed: {', '.join(lifted)}." if lifted else "This address was not suppressed.")
        if "bounced" in lifted or "complained" in lifted:
            console.print("Resend has its own suppression list: remove the address there too.")
    raise SystemExit(not lifted)
