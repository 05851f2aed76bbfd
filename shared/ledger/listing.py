"""Listing: which runs there are, for people to look at. Reads no more than it shows, or than it must look at to find that much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from shared.ledger import Ledger, ids

RECENT = "eg:recent"
FAILED = "rq:failed:send"
CHUNK = 500
LOOK_AT = 5_000  # runs at most, for one page of a filtered list
LATE = 60_000  # milliseconds past its look from which a step is shown as late
SHOWN = 20
DAY = 24 * 3_600_000


@dataclass(frozen=True)
class Page:
    """Part of a list.

    Attributes:
        enrollments: their ids, the latest first.
        next: where the list goes on, if it does; a filtered page may be short all the same.
    """

    enrollments: list[str]
    next: int | None


class Listing:
    """The runs, by when they began.

    Args:
        ledger: holds them.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._redis = ledger.redis

    def of_contact(self, contact: str) -> list[str]:
        """All runs of a person, the latest first.

        Args:
            contact: the contact's id.
        """
        names = cast(set[str], self._redis.smembers(f"eg:enrollments:{contact}"))
        return sorted(names, key=lambda name: self._redis.zscore(RECENT, name) or 0, reverse=True)

    def page(self, start: int = 0, size: int = 50, *, slug: str | None = None, state: str | None = None) -> Page:
        """Runs, the latest first.

        Args:
            start: where to begin: 0, or the `next` of the page before.
            size: how many at most.
            slug: only those of this campaign.
            state: only those in this state.
        """
        wanted = (slug, state)
        chunk = CHUNK if slug or state else size
        found: list[str] = []
        at = start
        while len(found) < size and at < start + LOOK_AT:
            names = cast(list[str], self._redis.zrevrange(RECENT, at, at + chunk - 1))
            for name, facts in zip(names, self._facts(names), strict=True):
                at += 1
                if all(want is None or want == fact for want, fact in zip(wanted, facts, strict=True)) and facts[0]:
                    found.append(name)
                if len(found) == size:
                    break
            if len(names) < chunk and len(found) < size:
                return Page(found, None)
        return Page(found, at)

    def counts(self) -> dict[str, int]:
        """How many: enrollments, due within a day, late, and ended badly and not looked at yet."""
        now = self._ledger.now()
        pipe = self._redis.pipeline(transaction=False)
        pipe.zcard(RECENT)
        pipe.zcount(ids.OPEN, "-inf", now + DAY)
        pipe.zcount(ids.OPEN, "-inf", now - LATE)
        pipe.zcard(FAILED)
        return dict(zip(("enrollments", "due_within_a_day", "late", "to_look_at"), pipe.execute(), strict=True))

    def failures(self) -> list[tuple[str, int]]:
        """The latest steps that ended failed or in doubt and that nobody has retried, as enrollment and number."""
        jobs = cast(list[str], self._redis.zrevrange(FAILED, 0, SHOWN - 1))
        return list(dict.fromkeys(ids.parse_job_id(job) for job in jobs))

    def _facts(self, names: Sequence[str]) -> list[list[str | None]]:
        """Campaign and state of each; nothing of one that is kept no longer."""
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.hmget(ids.enrollment_key(name), ["slug", "state"])
        return pipe.execute()
