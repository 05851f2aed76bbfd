"""`evergreen verify`: whether the ledger, Resend and Notion agree."""

from __future__ import annotations

import click
from rich.markup import escape
from rich.table import Table

from commands.outside import command, connect, follow
from commands.overview import Command
from commands.printing import as_json, console, print_json
from shared.domain import timing
from shared.integrations.notion_values import iso
from shared.recovery.enrollment_records import held
from shared.recovery.findings import Finding, fix
from shared.recovery.verify_ledger import unlisted
from shared.recovery.verify_notion import NotionWitness
from shared.recovery.verify_resend import ResendWitness

COLORS = {"duplicate": "bold red", "gap": "yellow", "disagreement": "yellow"}


@click.command(cls=Command, epilog="evergreen verify --days 7\nevergreen verify --fix")
@click.option("--fix", "fixes", is_flag=True, help="Fix what is safe to fix; never sends, never deletes.")
@click.option("--mend", "fixes", is_flag=True, hidden=True)
@click.option(
    "--days", type=click.IntRange(min=1), default=30, show_default=True, help="How many days of Resend's list to check."
)
@as_json
@command
def verify(fixes: bool, days: int, as_json: bool) -> None:
    """Compare the ledger with Resend and Notion: duplicates, gaps and disagreements. Also check that each email is on
    its list.

    --fix writes what Notion lacks, marks emails in doubt as sent if Resend knows them, and puts back emails that are on
    no list. Exit status 1 if something remains."""
    outside = connect()
    ledger = outside.ledger
    everything = held(ledger, follow)
    findings = unlisted(ledger)
    findings += [] if outside.resend else [Finding("gap", "resend", "Resend was not checked", "set RESEND_API_KEY")]
    list_from = None
    if outside.resend:
        witness = ResendWitness(ledger, outside.subjects, outside.resend, turn=outside.resend_turn, follow=follow)
        findings += witness.compare(everything, ledger.now() - days * timing.DAY)
        list_from = witness.list_from
    findings += NotionWitness(ledger, outside.catalog, outside.settings, outside.notion, follow).compare(everything)
    if fixes:
        findings = fix(findings, ledger)
    if as_json:
        print_json(
            {
                "runs": len(everything),
                "list_from": iso(list_from),
                "findings": [finding.as_dict for finding in findings],
            }
        )
    else:
        _print(findings, len(everything), iso(list_from))
    raise SystemExit(any(not finding.fixed for finding in findings))


def _print(findings: list[Finding], runs: int, list_from: str | None) -> None:
    console.print(
        f"{runs} enrollments were compared" + (f", with Resend's list back to {list_from}." if list_from else ".")
    )
    if not findings:
        console.print("[green]Everything agrees.[/]")
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        advice = "--fix fixes it" if finding.fixable else finding.advice
        what_to_do = "[green]fixed[/]" if finding.fixed else advice
        table.add_row(f"[{COLORS[finding.kind]}]{finding.kind}[/]", finding.what, escape(finding.message), what_to_do)
    console.print(table)
