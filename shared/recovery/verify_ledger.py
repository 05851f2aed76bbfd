"""Verifying the ledger against itself: whether each email still to be sent is on a list that is checked."""

from __future__ import annotations

from shared.ledger.client import Ledger
from shared.recovery.findings import Finding


def unlisted(ledger: Ledger) -> list[Finding]:
    """The emails that would never be checked.

    Args:
        ledger: every enrollment of it is read.
    """
    message = "it is on no list, and would never be sent"
    return [Finding("gap", id, message, "evergreen verify --fix", unlisted=True) for id in ledger.audit_all()]
