"""Purging: removes what a flood of unproved sign-ups has left, in one go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.core import log
from shared.core.errors import NotionError
from shared.integrations.notion import Notion
from shared.ledger.answers import Purged
from shared.ledger.client import Ledger
from shared.ledger.contacts import Contacts
from shared.ledger.rewriting import Log, rewrite

Follow = Callable[[Iterable[Any], str], Iterable[Any]]  # shows progress under a label
_logger = log.logger("purging")


@dataclass(frozen=True)
class Done:
    """What a purge did: how much it erased, how many pages it moved to Notion's trash, how many Notion kept, and what
    became of Redis's append-only file."""

    purged: Purged
    trashed: int
    kept: int
    log: Log


def count(ledger: Ledger, since: int, slugs: Sequence[str], follow: Follow) -> Purged:
    """What a purge would erase; arguments as for `purge`."""
    return sum(follow(Contacts(ledger).purge(since, slugs, dry=True), "Counting"), Purged())


def purge(ledger: Ledger, since: int, slugs: Sequence[str], notion: Notion | None, follow: Follow) -> Done:
    """Erase sign-ups that nothing proves and no one confirmed: held ones, contacts, enrollments, their pages.

    Args:
        ledger: the truth.
        since: what came before this instant stays, in milliseconds since 1970 UTC.
        slugs: every campaign.
        notion: the workspace; None leaves its pages alone.
        follow: shows the progress.
    """
    purged = sum(follow(Contacts(ledger).purge(since, slugs), "Erasing"), Purged())
    trashed = sum(_trash(notion, page) for page in follow(sorted(purged.pages), "Notion")) if notion else 0
    in_files = rewrite(ledger, 60, lambda: None)
    _logger.info("purged", contacts=purged.contacts, enrollments=purged.enrollments, held=purged.held)
    return Done(purged, trashed, len(purged.pages) - trashed, in_files.log)


def _trash(notion: Notion, page: str) -> bool:
    try:
        notion.trash(page)
    except NotionError as error:
        _logger.warning("purge.page_kept", why=error.reason)
        return error.kind == "gone"
    return True
