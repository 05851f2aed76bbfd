"""The sending quota of a day or a month, which only a fault of the kind `quota` exhausts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from local.sandbox.faults import Fault
from local.sandbox.mailboxes import as_list
from local.sandbox.refusal import Refusal
from local.sandbox.store import Store


def check(fault: Fault | None, emails: list[dict[str, Any]], store: Store) -> None:
    """Refuse emails that go beyond the quota, if one is set.

    Args:
        fault: the fault that the request meets, if any.
        emails: the emails to accept.
        store: what was accepted before.

    Raises:
        Refusal: 429, with the seconds until the day or month ends.
    """
    if not fault or fault.kind != "quota":
        return
    name = fault.name or "daily_quota_exceeded"
    start, end = _period(store.clock(), monthly=name.startswith("monthly"))
    wanted = sum(len(as_list(email.get(field))) for email in emails for field in ("to", "cc", "bcc"))
    if store.recipients_since(start) + wanted > fault.limit:
        headers = {"retry-after": str(round(end - store.clock()))} | fault.headers
        raise Refusal(429, name, "You have reached your email sending quota.", headers)


def _period(now: float, *, monthly: bool) -> tuple[float, float]:
    """Start and end of the day or month (UTC) of an instant."""
    start = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if not monthly:
        return start.timestamp(), (start + timedelta(days=1)).timestamp()
    start = start.replace(day=1)
    return start.timestamp(), (start + timedelta(days=32)).replace(day=1).timestamp()
