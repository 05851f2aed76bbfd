"""What the ledger counts about callers: failed proofs, and attempts, less those that did not fail."""

from __future__ import annotations

from typing import cast

from limits import parse

from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.orders import Limit

_LIMIT = "eg:limit:"
REFUSED = "eg:limit:refused"  # a hash: how many proofs have failed, by function
TRAPPED = "eg:limit:honeypot"  # a hash: how many forms had the hidden field filled in, by function


def limit(kind: str, who: str, rate: str, times: int = 1) -> Limit:
    """A limit that the ledger counts.

    Args:
        kind: what it counts by, such as `ip`.
        who: whose requests; stored as a digest.
        rate: such as `10/second` or `5/5 minutes`.
        times: how often that much is allowed.
    """
    item = parse(rate)
    return Limit(key=f"{kind}:{rate}:{ids.digest(who)}", most=item.amount * times, window=item.get_expiry() * 1000)


def refused(ledger: Ledger, function: str) -> None:
    """Count a proof that a function refused."""
    ledger.redis.hincrby(REFUSED, function, 1)


def trapped(ledger: Ledger, function: str) -> None:
    """Count a form whose hidden field is filled in."""
    ledger.redis.hincrby(TRAPPED, function, 1)


def wait(ledger: Ledger, limit: Limit) -> int:
    """Milliseconds until a limit allows another attempt; 0: now. Counts nothing."""
    count = int(cast(str, ledger.redis.get(_LIMIT + limit.key) or 0))
    return max(int(ledger.redis.pttl(_LIMIT + limit.key)), 1) if count >= limit.most else 0


def give_back(ledger: Ledger, limit: Limit) -> None:
    """Take an attempt off the count, as it did not fail."""
    ledger.give_back(limit)
