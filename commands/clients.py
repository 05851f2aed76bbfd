"""What commands work with: this process's settings and ledger, with logs that stay out of the answer."""

from __future__ import annotations

from shared import services
from shared.core import log
from shared.core.settings import Settings
from shared.ledger.client import Ledger


def settings(*needed: str, logs: str = "ERROR") -> Settings:
    """The settings of a command; raises SettingsError.

    Args:
        needed: the names of those that it cannot do without.
        logs: the lowest level that is shown.
    """
    found = services.current_settings().require(*needed)
    log.configure(logs)
    return found


def ledger() -> Ledger:
    """The ledger; raises LedgerTooNew."""
    found = services.ledger()
    found.check_version()
    return found
