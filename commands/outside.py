"""For commands that use the ledger, Notion and Resend together: the clients, and how far they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.progress import track as tracked

from commands import clients
from commands.printing import speaks_plainly
from shared import services
from shared.core.settings import Settings
from shared.domain.catalog import Catalog
from shared.emails.subjects import Subjects
from shared.emails.template_store import Store
from shared.integrations.notion import Notion
from shared.integrations.resend import Resend
from shared.ledger.client import Ledger

yes = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
command = speaks_plainly


EACH = 1000  # items to a line
_progress = Console(stderr=True, highlight=False)


def follow(items: Iterable[Any], label: str) -> Iterable[Any]:
    """All items. How many there were so far is shown on standard error: by a bar on a terminal, else by a line for each
    thousand, and for all of them if there were more."""
    if not _progress.is_terminal:
        yield from _counted(items, label)
        return
    if isinstance(items, list):
        yield from tracked(items, description=label, console=_progress, transient=True)
        return
    with Progress(
        SpinnerColumn(), TextColumn(label), BarColumn(), MofNCompleteColumn(), console=_progress, transient=True
    ) as progress:
        task = progress.add_task(label, total=None)
        for item in items:
            progress.advance(task)
            yield item


def _counted(items: Iterable[Any], label: str) -> Iterator[Any]:
    count = 0
    try:
        for count, item in enumerate(items, 1):
            if count % EACH == 0:
                click.echo(f"{label}: {count:,}", err=True)
            yield item
    finally:
        if count > EACH and count % EACH:
            click.echo(f"{label}: {count:,}", err=True)


@dataclass(frozen=True)
class Outside:
    """The clients.

    Attributes:
        resend: None without a key.
    """

    settings: Settings
    ledger: Ledger
    catalog: Catalog
    notion: Notion
    resend: Resend | None

    @property
    def subjects(self) -> Subjects:
        """The current subjects."""
        return Subjects(self.catalog, Store(self.catalog, self.settings, self.ledger), self.settings)

    def resend_turn(self) -> None:
        """Wait for a turn at Resend."""
        services.resend_pacer().wait()


def connect() -> Outside:
    """The clients for this process's settings; raises SettingsError if Notion is not set, LedgerTooNew."""
    found = clients.settings("notion_token", "notion_email_sequence_db_id")
    resend = services.resend() if found.resend_api_key else None
    return Outside(found, clients.ledger(), services.catalog(), services.notion(), resend)
