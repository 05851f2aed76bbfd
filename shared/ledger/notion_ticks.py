"""Which enrollments the owner has ticked as paused in Notion, as of the last poll: only a change of a tick has an
effect."""

from __future__ import annotations

from typing import cast

from shared.ledger import ids
from shared.ledger.client import Ledger

_TICKED = "eg:ticked"
_COLUMN = "eg:ticked:column"  # the id of the column in Notion


class NotionTicks:
    """Remembers ticks, and the pages that have them.

    Args:
        ledger: where they are stored.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._redis = ledger.redis

    def known(self) -> set[str]:
        """The enrollments that were ticked at the last poll."""
        return cast(set[str], self._redis.smembers(_TICKED))

    def add(self, enrollment: str) -> None:
        """Remember that an enrollment is ticked."""
        self._redis.sadd(_TICKED, enrollment)

    def remove(self, enrollment: str) -> None:
        """Remember that an enrollment is no longer ticked."""
        self._redis.srem(_TICKED, enrollment)

    def begin(self, column: str) -> None:
        """The ticks are those of this column in Notion, by its id; those of another column are forgotten."""
        before = self._redis.get(_COLUMN)
        if before == column:
            return
        with self._redis.pipeline() as pipe:
            if before is not None:
                pipe.delete(_TICKED)
            pipe.set(_COLUMN, column)
            pipe.execute()

    def page(self, enrollment: str) -> str:
        """The tracker page of an enrollment; empty if none is known."""
        return str(self._redis.hget(ids.enrollment_key(enrollment), "page") or "")
