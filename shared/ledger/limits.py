"""What the ledger counts of callers: proofs that failed, and attempts that did not."""

from __future__ import annotations

from shared.ledger.client import Ledger
from shared.ledger.orders import Limit

_LIMIT = "eg:limit:"
REFUSED = "eg:limit:refused"  # a hash: how many proofs have failed, by function


def refused(ledger: Ledger, function: str) -> None:
    """Count a proof that a function has refused."""
    ledger.redis.hincrby(REFUSED, function, 1)


def give_back(ledger: Ledger, limit: Limit) -> None:
    """Count an attempt no longer, as it was no failure."""
    if ledger.redis.exists(_LIMIT + limit.key):
        ledger.redis.decr(_LIMIT + limit.key)
