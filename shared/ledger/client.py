"""The ledger's client: its decisions, the loops around them, and the reads that need no script."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from shared.domain.enrollments import Contact, Enrollment, Step
from shared.domain.states import EnrollmentState, Kind, StepState
from shared.ledger import ids
from shared.ledger.answers import Peek, instant, step_state
from shared.ledger.decisions import Decisions
from shared.ledger.version import refuse_too_new


class Ledger(Decisions):
    """The truth about each contact, enrollment and email."""

    def now(self) -> int:
        """The ledger's time."""
        if self._clock:
            return self._clock()
        seconds, microseconds = self.redis.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def check_version(self) -> None:
        """Raise LedgerTooNew if a newer release uses the ledger; for use before reading or writing it without a
        script."""
        refuse_too_new(cast(str | None, self.redis.get(ids.VERSION)))

    def release_all(self) -> int:
        """Put all due wake-ups on the queue; returns how many."""
        total = 0
        while True:
            done = self.release()
            total += done.released
            if not done.released + done.dropped:
                return total

    def audit_slice(self, cursor: int = 0, *, size: int = 1000, repair: bool = False) -> tuple[int, list[str]]:
        """Audit the enrollments among some of Redis's keys: it finds them by their keys, not by any list.

        Args:
            cursor: 0, or where the last slice ended.
            size: about how many keys to look through.
            repair: as for audit.

        Returns:
            Where the next slice begins (0 at the end), and the email ids found.
        """
        prefix = ids.enrollment_key("")
        following, keys = cast(tuple[int, list[str]], self.redis.scan(cursor, match=f"{prefix}*", count=size))
        return following, self.audit([key.removeprefix(prefix) for key in keys], repair=repair) if keys else []

    def audit_all(self, *, repair: bool = False) -> list[str]:
        """Audit every enrollment, slice by slice, so that it blocks nothing; returns the email ids found."""
        following, found = self.audit_slice(repair=repair)
        while following:
            following, more = self.audit_slice(following, repair=repair)
            found += more
        return list(dict.fromkeys(found))  # slices may return an enrollment twice

    def peek(self, enrollment: str, step: int) -> Peek:
        """The minimum that a worker needs to know about a step; raises LedgerTooNew."""
        names = [f"{step}.state", f"{step}.next", f"{step}.why", "request_id"]
        pipe = self.redis.pipeline(transaction=False)
        pipe.get(ids.VERSION)
        pipe.hmget(ids.enrollment_key(enrollment), names)
        pipe.time()
        version, (state, following, why, request_id), (seconds, microseconds) = pipe.execute()
        refuse_too_new(version)
        now = self._clock() if self._clock else int(seconds) * 1000 + int(microseconds) // 1000
        return Peek(step_state(state), instant(following), why, request_id, now)

    def _hash(self, key: str) -> dict[str, str]:
        return cast(dict[str, str], self.redis.hgetall(key))  # the client decodes, which its types cannot say

    def enrollment(self, enrollment: str) -> Enrollment | None:
        """An enrollment with its steps, in the order they go out."""
        fields = self._hash(ids.enrollment_key(enrollment))
        if not fields:
            return None
        steps = tuple(_step(int(number), fields) for number in fields["steps"].split(",") if number)
        return Enrollment(
            id=enrollment,
            slug=fields["slug"],
            kind=cast(Kind, fields["kind"]),
            state=EnrollmentState(fields["state"]),
            anchor=int(fields["anchor"]),
            contact=fields["contact"],
            why=fields.get("why"),
            request_id=fields.get("request_id", ""),
            paused_at=instant(fields.get("paused_at")),
            steps=steps,
            values=json.loads(fields.get("values", "{}")),
            group=fields.get("group"),
            queued_until=instant(fields.get("queued_until")),
            warning=fields.get("warning") or None,
        )

    def knows(self, enrollment: str) -> bool:
        """Whether the enrollment exists and this ledger knows its row; one that began again after a loss has none."""
        return bool(self.redis.hexists(ids.enrollment_key(enrollment), "page"))

    def contact(self, contact: str) -> Contact | None:
        """What is known about a person."""
        fields = self._hash(ids.contact_key(contact))
        return Contact(fields) if fields else None


def _step(number: int, fields: Mapping[str, str]) -> Step:
    def value(name: str) -> str | None:
        return fields.get(f"{number}.{name}")

    return Step(
        number=number,
        state=StepState(fields[f"{number}.state"]),
        due=int(fields[f"{number}.due"]),
        offset=int(fields[f"{number}.offset"]),
        next=instant(value("next")),
        attempts=int(value("attempts") or 0),
        posted=instant(value("posted")),
        ambiguous=value("ambiguous") == "1",
        frozen=value("frozen"),
        sent_at=instant(value("sent")),
        sent_by=value("by"),
        provider_id=value("id"),
        why=value("why"),
        delivered=instant(value("delivered")),
        opened=instant(value("opened")),
        clicked=instant(value("clicked")),
        bounced=instant(value("bounced")),
        complained=instant(value("complained")),
        note=value("note"),
        anew=value("anew") == "1",
    )
