"""Console sessions that have ended: after you sign out, a leftover cookie opens nothing."""

from __future__ import annotations

from shared.ledger.client import Ledger

_ENDED = "eg:console:ended:"


def end(ledger: Ledger, name: str, lasts: int) -> None:
    """Remember that a session has ended.

    Args:
        ledger: where that is stored.
        name: the session's random name.
        lasts: seconds that its cookie would stay valid.
    """
    ledger.sign_out(name, lasts)


def has_ended(ledger: Ledger, name: str) -> bool:
    """Whether a session has ended."""
    return bool(ledger.redis.exists(_ENDED + name))
