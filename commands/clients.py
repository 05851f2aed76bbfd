"""What commands use: this process's settings and ledger, with logs kept out of the output."""

from __future__ import annotations

from shared import services
from shared.core import log
from shared.core.settings import Settings
from shared.ledger.client import Ledger
from shared.ledger.notion_columns import NotionColumns


def settings(*needed: str, logs: str = "ERROR") -> Settings:
    """The settings of a command; raises SettingsError.

    Args:
        needed: names of the settings that it requires.
        logs: the lowest level to show.
    """
    found = services.current_settings().require(*needed)
    log.configure(logs)
    return found


def ledger() -> Ledger:
    """The ledger; raises LedgerTooNew."""
    found = services.ledger()
    found.check_version()
    return found


def notion_columns() -> NotionColumns | None:
    """Which columns were in Notion; None if REDIS_URL is not valid."""
    try:
        return NotionColumns(services.ledger())
    except ValueError:  # redis-py raises it for an address it cannot parse
        return None
