"""Figures: the totals that the console shows. The cost of each does not grow with the number of enrollments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from shared.domain.enrollments import SCORES, Contact
from shared.domain.states import LISTED
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.limits import TRAPPED


class Figures:
    """The totals.

    Args:
        ledger: where they are stored.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._redis = ledger.redis

    def backlog(self) -> dict[str, Any]:
        """How many alerts and leads are waiting to be sent to the owner, the requests per second that Resend says it
        allows (None until it does), and how many forms had the hidden field filled in."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.zcard(ids.NOTICES)
        pipe.zcard(ids.LEADS)
        pipe.get("eg:rate:resend")
        pipe.hvals(TRAPPED)
        alerts, leads, rate, trapped = pipe.execute()
        return {
            "notices": alerts + leads,
            "resend_rate": float(rate) if rate else None,
            "honeypot": sum(map(int, trapped)),
        }

    def next_steps(self, count: int) -> list[tuple[str, int]]:
        """The steps to look at next, as enrollment and number."""
        names = cast(list[str], self._redis.zrange(ids.OPEN, 0, count - 1))
        return [ids.parse_email_id(name) for name in names]

    def funnel(self, slug: str) -> dict[str, int]:
        """What has happened in a campaign so far: `enrolled`, and `<step>.sent`, `<step>.delivered`, `<step>.opened`,
        `<step>.clicked`, ..."""
        counted = cast(dict[str, str], self._redis.hgetall(f"eg:tally:{slug}"))
        return {name: int(number) for name, number in counted.items()}

    def states(self, slug: str) -> dict[str, int]:
        """How many of a campaign's enrollments are in each state, among those still kept."""
        pipe = self._redis.pipeline(transaction=False)
        for state in LISTED:
            pipe.zcard(f"eg:in:{state}:{slug}")
        return dict(zip(LISTED, pipe.execute(), strict=True))

    def segments(self, enrollments: Sequence[str]) -> list[str | None]:
        """The segment of each enrollment; None if no score is known. Two round trips."""
        pipe = self._redis.pipeline(transaction=False)
        for enrollment in enrollments:
            pipe.hmget(ids.enrollment_key(enrollment), ["contact", "values"])
        runs = pipe.execute()
        for contact, _ in runs:
            pipe.hmget(ids.contact_key(contact or ""), SCORES)
        known = (
            Contact({name: text for name, text in zip(SCORES, texts, strict=True) if text is not None})
            for texts in pipe.execute()
        )
        people = [one.within(json.loads(values or "{}")) for one, (_, values) in zip(known, runs, strict=True)]
        return [person.segment if person.assessed else None for person in people]
