"""The console's sessions that have ended: after signing out, a cookie that stays behind opens nothing."""

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
