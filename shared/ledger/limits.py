"""What the ledger counts of callers: requests against a limit, and proofs that failed."""

from __future__ import annotations

from collections.abc import Mapping

from shared.ledger.client import Ledger

REFUSED = "eg:limit:refused"  # a hash: how many proofs have failed, by function


def count(ledger: Ledger, limit: Mapping[str, object]) -> tuple[int, int]:
    """Count one request.

    Args:
        ledger: counts for all processes.
        limit: `key`, `most` requests in a `window` of milliseconds.

    Returns:
        The ledger's time, and the milliseconds until the request may be made, 0 where it may be made now.
    """
    now, wait = ledger.decide("limit", limit)
    return int(now), int(wait)


def refused(ledger: Ledger, function: str) -> None:
    """Count a proof that a function has refused."""
    ledger.redis.hincrby(REFUSED, function, 1)
