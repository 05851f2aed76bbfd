"""What the ledger counts about callers: failed proofs, and attempts, less those that did not fail."""

from __future__ import annotations

from typing import cast

from shared.ledger.client import Ledger
from shared.ledger.orders import Limit

_LIMIT = "eg:limit:"
REFUSED = "eg:limit:refused"  # a hash: how many proofs have failed, by function


def refused(ledger: Ledger, function: str) -> None:
    """Count a proof that a function refused."""
    ledger.redis.hincrby(REFUSED, function, 1)


def wait(ledger: Ledger, limit: Limit) -> int:
    """Milliseconds until a limit allows another attempt; 0: now. Counts nothing."""
    count = int(cast(str, ledger.redis.get(_LIMIT + limit.key) or 0))
    return max(int(ledger.redis.pttl(_LIMIT + limit.key)), 1) if count >= limit.most else 0


def give_back(ledger: Ledger, limit: Limit) -> None:
    """Take an attempt off the count, as it did not fail."""
    ledger.give_back(limit)
