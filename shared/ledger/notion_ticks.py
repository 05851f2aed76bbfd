"""Which enrollments the owner has ticked as paused in Notion, as of the last poll: only a change of a tick acts."""

from __future__ import annotations

from typing import cast

from shared.ledger import ids
from shared.ledger.client import Ledger

_TICKED = "eg:ticked"


class NotionTicks:
    """Remember ticks, and the pages that carry them.

    Args:
        ledger: holds them.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._redis = ledger.redis

    def known(self) -> set[str]:
        """The enrollments that were ticked."""
        return cast(set[str], self._redis.smembers(_TICKED))

    def add(self, enrollment: str) -> None:
        """It is ticked now."""
        self._redis.sadd(_TICKED, enrollment)

    def remove(self, enrollment: str) -> None:
        """It is ticked no more."""
        self._redis.srem(_TICKED, enrollment)

    def page(self, enrollment: str) -> str:
        """The tracker page of an enrollment; empty where none is known."""
        return str(self._redis.hget(ids.enrollment_key(enrollment), "page") or "")
