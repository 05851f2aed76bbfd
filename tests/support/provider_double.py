"""An email provider in memory: accepts, remembers idempotency keys for 24 hours, and fails on demand.

No SDK, no network."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from shared.core.errors import SendError
from shared.integrations.provider import Accepted
from shared.integrations.resend_responses import accepted_batch, refusal

DAY = 24 * 3_600_000


class MemoryProvider:
    """Takes emails as `integrations.resend.Resend` does.

    Args:
        clock: the time in milliseconds.

    Attributes:
        accepted: every email that was taken, in order.
        requests: how many emails each request held, taken or not.
        refuses: by address, what it says about an email to it, in Resend's words.
        permissive: whether it knows permissive batches; else one refused email refuses its batch.
        faults: what the next requests meet, one each: `none`, a SendError that is raised without taking anything, or
            `lost`: the request is taken and the answer never arrives.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.accepted: list[dict[str, Any]] = []
        self.requests: list[int] = []
        self.faults: deque[SendError | str] = deque()
        self.refuses: dict[str, str] = {}
        self.permissive = True
        self._known: dict[str, tuple[int, Any, Any]] = {}

    def send(self, email: dict[str, Any], *, key: str) -> Accepted:
        """Take one email."""
        return self._take([email], key, permissive=False)

    def send_batch(self, emails: list[dict[str, Any]], *, key: str, permissive: bool) -> Accepted:
        """Take several."""
        return self._take(emails, key, permissive=permissive and self.permissive)

    def _take(self, emails: list[dict[str, Any]], key: str, *, permissive: bool) -> Accepted:
        self.requests.append(len(emails))
        fault = self.faults.popleft() if self.faults else "none"
        if isinstance(fault, SendError):
            raise fault
        known = self._known.get(key)
        if known and self.clock() - known[0] < DAY:
            if known[1] != (emails, permissive):
                raise SendError("conflict", "the same key with another body")
            answer = known[2]
        else:
            answer = self._judged(emails, permissive=permissive)
            self._known[key] = (self.clock(), (emails, permissive), answer)
        if fault == "lost":
            raise SendError("ambiguous", "no answer")
        return replace(accepted_batch(answer, len(emails)), date=self.clock())

    def _judged(self, emails: list[dict[str, Any]], *, permissive: bool) -> dict[str, Any]:
        """Take what it does not refuse; returns the answer in Resend's form."""
        errors = [
            {"index": at, "message": self.refuses[email["to"][0]]}
            for at, email in enumerate(emails)
            if email["to"][0] in self.refuses
        ]
        if errors and not permissive:
            raise replace(refusal(422, "validation_error", str(errors[0]["message"]), {}), date=self.clock())
        wrong = {error["index"] for error in errors}
        good = [email for at, email in enumerate(emails) if at not in wrong]
        ids = [{"id": f"id-{len(self.accepted) + index}"} for index in range(len(good))]
        self.accepted += good
        return {"data": ids, "errors": errors}

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
