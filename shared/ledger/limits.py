"""What the ledger counts of callers: proofs that failed."""

from __future__ import annotations

from shared.ledger.client import Ledger

REFUSED = "eg:limit:refused"  # a hash: how many proofs have failed, by function


def refused(ledger: Ledger, function: str) -> None:
    """Count a proof that a function has refused."""
    ledger.redis.hincrby(REFUSED, function, 1)
