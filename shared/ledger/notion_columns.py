"""What the scheduler's poll found of the owner's columns in Notion: which were there, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from shared.ledger.client import Ledger

SEEN = "eg:notion:columns"  # a hash: `<data source>/<column>` to its id in Notion and when it was last there
TROUBLES = "eg:notion:troubles"  # a hash: where to what is wrong, in a sentence
MISSED_FOR = 7 * 86_400_000  # milliseconds after which the owner does without a column that was there


class NotionColumns:
    """The columns in Notion, as of the last poll.

    Args:
        ledger: where this is stored.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._redis = ledger.redis

    def see(self, source: str, columns: Mapping[str, str]) -> None:
        """Remember the columns that are there.

        Args:
            source: the data source.
            columns: Evergreen's name of each, and its id in Notion.
        """
        now = self._ledger.now()
        for name, id in columns.items():
            self._redis.hset(SEEN, f"{source}/{name}", f"{now} {id}")

    def seen(self, source: str) -> dict[str, str]:
        """The columns that are there, or were within a week: Evergreen's name of each, and its id in Notion."""
        held = cast(dict[str, str], self._redis.hgetall(SEEN))
        since, found = self._ledger.now() - MISSED_FOR, {}
        for place, value in held.items():
            owner, _, name = place.partition("/")
            at, _, id = value.partition(" ")
            if owner == source and int(at) >= since:
                found[name] = id
        return found

    def troubles(self) -> dict[str, str]:
        """What is wrong, in a sentence each, by where."""
        return cast(dict[str, str], self._redis.hgetall(TROUBLES))

    def judge(self, troubles: Mapping[str, str]) -> list[str]:
        """Replace what is wrong; returns the sentences that are new."""
        before = self.troubles()
        with self._redis.pipeline() as pipe:
            pipe.delete(TROUBLES)
            for where, sentence in troubles.items():
                pipe.hset(TROUBLES, where, sentence)
            pipe.execute()
        return [sentence for where, sentence in troubles.items() if before.get(where) != sentence]
