"""For commands that use the ledger, Notion and Resend together: the clients and a progress bar."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.progress import track as tracked

from commands import clients
from commands.printing import console, speaks_plainly
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


def follow(items: Iterable[Any], label: str) -> Iterable[Any]:
    """All items, with a progress bar on a terminal; it shows the number so far if the total is unknown."""
    if not console.is_terminal:
        yield from items
        return
    if isinstance(items, list):
        yield from tracked(items, description=label, console=console, transient=True)
        return
    with Progress(
        SpinnerColumn(), TextColumn(label), BarColumn(), MofNCompleteColumn(), console=console, transient=True
    ) as progress:
        task = progress.add_task(label, total=None)
        for item in items:
            progress.advance(task)
            yield item


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
