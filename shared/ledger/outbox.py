"""The outbox: what must still be recorded in Notion.

It names things, not messages, so that ten changes to one thing become one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from shared.ledger import ids
from shared.ledger.client import Ledger

INCOMPLETE = "eg:outbox:incomplete"  # a set: what was recorded without a value for which there is no column
AT_ONCE = 500  # that are put back with one script
UNSURE = "?"  # a page that may have been created, but whose id we did not learn


@dataclass(frozen=True)
class Entry:
    """One thing to record: a `contact`, an `enrollment` or an `email`, by its id, as of a version."""

    kind: str
    id: str
    version: str

    @property
    def member(self) -> str:
        """Its name in the outbox."""
        return f"{self.kind}:{self.id}"


class Outbox:
    """Takes entries, marks them as recorded, and gives them back.

    Args:
        ledger: where it is stored.
        lease: seconds that one recording may take.
    """

    def __init__(self, ledger: Ledger, lease: float = 60) -> None:
        self.ledger = ledger
        self._lease = lease

    def take(self, *, fenced: bool = False) -> Entry | None:
        """The next entry that is ready, or None; also None while this copy of the ledger may not send.

        Args:
            fenced: whether the fence must be on, as for a claim.
        """
        found = self.ledger.take(lease=self._lease, fenced=fenced)
        return Entry(found.kind, found.id, found.version) if found else None

    def pending(self) -> set[str]:
        """All that must still be recorded in Notion, by its name in the outbox."""
        return set(cast(list[str], self.ledger.redis.zrange(ids.OUTBOX, 0, -1)))

    def recorded(self, entry: Entry) -> None:
        """Mark an entry as recorded, as it was when it was taken."""
        self.ledger.recorded(entry.member, entry.version)

    def empty(self, limit: int = 500) -> int:
        """Drop the entries that are ready, if there is no Notion; returns how many."""
        return self.ledger.empty(limit)

    def give_back(self, entry: Entry) -> None:
        """Nothing could be recorded; the entry is as ready as before."""
        self.ledger.recorded(entry.member, entry.version, back=True)

    def failed(self, entry: Entry, wait: float) -> int:
        """The entry could not be recorded; try again in `wait` seconds, longer each time.

        Returns how often it has failed."""
        return self.ledger.recorded(entry.member, entry.version, wait=wait)

    def incomplete(self, entry: Entry) -> None:
        """Remember that an entry was recorded without a value, for lack of a column."""
        self.ledger.redis.sadd(INCOMPLETE, entry.member)

    def complete(self) -> int:
        """Have everything recorded again that lacks a value; returns how much that is."""
        members = cast(set[str], self.ledger.redis.smembers(INCOMPLETE))
        things = [(kind, id) for kind, _, id in (member.partition(":") for member in sorted(members))]
        for start in range(0, len(things), AT_ONCE):
            self.ledger.tell(things[start : start + AT_ONCE])
        if members:
            self.ledger.redis.srem(INCOMPLETE, *members)
        return len(things)

    def page(self, entry: Entry) -> str | None:
        """The Notion page of a thing: its id, UNSURE, or None if there is none yet."""
        key, field = self._place(entry)
        return cast(str | None, self.ledger.redis.hget(key, field))

    def keep_page(self, entry: Entry, page: str) -> None:
        """Remember a thing's page."""
        key, field = self._place(entry)
        if self.ledger.redis.exists(key):
            self.ledger.redis.hset(key, field, page)

    def _place(self, entry: Entry) -> tuple[str, str]:
        if entry.kind == "contact":
            return ids.contact_key(entry.id), "page"
        if entry.kind == "enrollment":
            return ids.enrollment_key(entry.id), "page"
        enrollment, step = ids.parse_email_id(entry.id)
        return ids.enrollment_key(enrollment), f"{step}.page"

    def depth(self) -> int:
        """How many entries are waiting to be recorded."""
        return int(self.ledger.redis.zcard(ids.OUTBOX))
