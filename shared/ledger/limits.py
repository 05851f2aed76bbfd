"""What the ledger counts about callers: failed proofs, and attempts, less those that did not fail."""

from __future__ import annotations

from shared.ledger.client import Ledger
from shared.ledger.orders import Limit

REFUSED = "eg:limit:refused"  # a hash: how many proofs have failed, by function


def refused(ledger: Ledger, function: str) -> None:
    """Count a proof that a function refused."""
    ledger.redis.hincrby(REFUSED, function, 1)


def give_back(ledger: Ledger, limit: Limit) -> None:
    """Take an attempt off the count, as it did not fail."""
    ledger.give_back(limit)
