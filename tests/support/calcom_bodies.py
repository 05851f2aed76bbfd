"""What Cal.com posts and what is read of it, for tests."""

from __future__ import annotations

from typing import Any

from shared.domain.forms import CalendarReport, MeetingEvent
from shared.integrations import calcom
from tests.support import calendar_samples
from tests.support.calendar_samples import milliseconds

NOW = milliseconds("2026-12-04T12:00:00Z")


def report(posted: dict[str, Any]) -> CalendarReport:
    """What is read of a body."""
    return calcom.events(calendar_samples.body(posted), NOW)


def read(posted: dict[str, Any]) -> MeetingEvent:
    """The event in a body that has one, and nothing that cannot be read."""
    found = report(posted)
    assert len(found.events) == 1 and not found.unread
    return found.events[0]


def changed(posted: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An event that differs in some fields of its payload."""
    return posted | {"payload": posted["payload"] | fields}


def people(*emails: str) -> list[dict[str, Any]]:
    """Attendees."""
    return [{"email": email, "name": "Jane Doe", "timeZone": "America/Toronto"} for email in emails]
