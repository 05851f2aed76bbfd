"""An email provider in memory: accepts, remembers idempotency keys for 24 hours, and fails on demand.

No SDK, no network."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from shared.core.errors import SendError
from shared.integrations.provider import Accepted

DAY = 24 * 3_600_000


class MemoryProvider:
    """Takes emails as `integrations.resend.Resend` does.

    Args:
        clock: the time in milliseconds.

    Attributes:
        accepted: every email that was taken, in order.
        requests: how many emails each request held, taken or not.
        faults: what the next requests meet, one each: `none`, a SendError that is raised without taking anything, or
            `lost`: the request is taken and the answer never arrives.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.accepted: list[dict[str, Any]] = []
        self.requests: list[int] = []
        self.faults: deque[SendError | str] = deque()
        self._known: dict[str, tuple[int, Any, list[str]]] = {}

    def send(self, email: dict[str, Any], *, key: str) -> Accepted:
        """Take one email."""
        return self._take([email], key)

    def send_batch(self, emails: list[dict[str, Any]], *, key: str) -> Accepted:
        """Take several."""
        return self._take(emails, key)

    def _take(self, emails: list[dict[str, Any]], key: str) -> Accepted:
        self.requests.append(len(emails))
        fault = self.faults.popleft() if self.faults else "none"
        if isinstance(fault, SendError):
            raise fault
        known = self._known.get(key)
        if known and self.clock() - known[0] < DAY:
            if known[1] != emails:
                raise SendError("conflict", "the same key with another body")
            ids = known[2]
        else:
            ids = [f"id-{len(self.accepted) + index}" for index in range(len(emails))]
            self.accepted += emails
            self._known[key] = (self.clock(), emails, ids)
        if fault == "lost":
            raise SendError("ambiguous", "no answer")
        return Accepted(ids, None, self.clock())

    def time(self) -> int | None:
        """Its clock."""
        return self.clock()

    @property
    def email_ids(self) -> list[str]:
        """The email ids of what was taken, in order."""
        return [next(tag["value"] for tag in email["tags"] if tag["name"] == "email_id") for email in self.accepted]

    @property
    def twice(self) -> list[str]:
        """The email ids that were taken more than once."""
        return [id for id, count in Counter(self.email_ids).items() if count > 1]
