"""Listing: the enrollments, for people to look at. Reads no more than it shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.health import OVERDUE_AFTER

RECENT = "eg:recent"
DOUBTS = "eg:doubts"
SHOWN = 20
DAY = 24 * 3_600_000


@dataclass(frozen=True)
class Page:
    """Part of a list.

    Attributes:
        enrollments: their ids, the latest first.
        next: where the list continues, if it does.
    """

    enrollments: list[str]
    next: int | None


class Listing:
    """The enrollments, by start time.

    Args:
        ledger: where they are stored.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._redis = ledger.redis

    def of_contact(self, contact: str) -> list[str]:
        """All enrollments of a person, the latest first.

        Args:
            contact: the contact's id.
        """
        names = cast(set[str], self._redis.smembers(f"eg:enrollments:{contact}"))
        return sorted(names, key=lambda name: self._redis.zscore(RECENT, name) or 0, reverse=True)

    def page(self, start: int = 0, size: int = 50, *, slug: str | None = None, state: str | None = None) -> Page:
        """Enrollments, the latest first.

        Args:
            start: where to begin: 0, or the `next` of the previous page.
            size: the maximum number of enrollments.
            slug: only those of this campaign.
            state: only those in this state.
        """
        names = cast(list[str], self._redis.zrevrange(_list(slug, state), start, start + size))
        return Page(names[:size], start + size if len(names) > size else None)

    def every(self) -> Iterator[str]:
        """All enrollments, including tracked ones, in no order. Scans the keys, so that it blocks nothing else."""
        prefix = ids.enrollment_key("")
        for key in self._redis.scan_iter(f"{prefix}*", count=1000):
            yield str(key).removeprefix(prefix)

    def counts(self) -> dict[str, int]:
        """The number of enrollments, of steps due within a day, of late steps, and of failures that nothing was done
        about yet."""
        now = self._ledger.now()
        pipe = self._redis.pipeline(transaction=False)
        pipe.zcard(RECENT)
        pipe.zcount(ids.OPEN, "-inf", now + DAY)
        pipe.zcount(ids.OPEN, "-inf", now - OVERDUE_AFTER)
        pipe.zcard(ids.FAILED)
        return dict(zip(("enrollments", "due_within_a_day", "late", "to_look_at"), pipe.execute(), strict=True))

    def failures(self) -> list[tuple[str, int]]:
        """The latest steps that ended failed or in doubt and were not retried, as enrollment and number."""
        jobs = cast(list[str], self._redis.zrevrange(ids.FAILED, 0, SHOWN - 1))
        return list(dict.fromkeys(ids.parse_job_id(job) for job in jobs))

    def doubts(self) -> dict[str, int]:
        """The emails in doubt, the earliest first: their ids, and since when, in milliseconds since 1970 UTC."""
        found = cast(list[tuple[str, float]], self._redis.zrange(DOUBTS, 0, -1, withscores=True))
        return {id: int(since) for id, since in found}

    def doubts_of(self, request: str) -> list[str]:
        """The emails in doubt that were posted in one request.

        Args:
            request: the request's id.
        """
        doubts = list(self.doubts())
        pipe = self._redis.pipeline(transaction=False)
        for enrollment, step in map(ids.parse_email_id, doubts):
            pipe.hget(ids.enrollment_key(enrollment), f"{step}.frozen")
        return [id for id, frozen in zip(doubts, pipe.execute(), strict=True) if frozen == request]


def _list(slug: str | None, state: str | None) -> str:
    """The list that holds exactly these enrollments."""
    if state:
        return f"eg:in:{state}:{slug}" if slug else f"eg:in:{state}"
    return f"eg:of:{slug}" if slug else RECENT
