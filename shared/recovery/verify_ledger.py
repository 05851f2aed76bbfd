"""Verifying the ledger against itself: whether each email that is still to be sent is on the list by which it is looked
at."""

from __future__ import annotations

from shared.ledger.client import Ledger
from shared.recovery.verify_resend import Finding


def unlisted(ledger: Ledger) -> list[Finding]:
    """The emails that nothing would ever look at.

    Args:
        ledger: is read, every enrollment of it.
    """
    message = "it is on no list, and would never go out"
    return [Finding("gap", id, message, "evergreen verify --fix", unlisted=True) for id in ledger.audit_all()]
