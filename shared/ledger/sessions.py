"""The console's sessions that were ended: whoever signs out leaves a cookie behind that must open nothing any more."""

from __future__ import annotations

from shared.ledger.client import Ledger

_ENDED = "eg:console:ended:"


def end(ledger: Ledger, name: str, lasts: int) -> None:
    """Remember that a session has ended.

    Args:
        ledger: remembers it.
        name: the session's random name.
        lasts: seconds for which its cookie would be good.
    """
    ledger.redis.set(_ENDED + name, "", ex=lasts)


def has_ended(ledger: Ledger, name: str) -> bool:
    """Whether a session has ended."""
    return bool(ledger.redis.exists(_ENDED + name))
