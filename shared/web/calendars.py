"""Calendars: what both have in common once a delivery is proved to be theirs."""

from __future__ import annotations

from flask import Request, Response

from shared.domain.forms import CalendarReport
from shared.intake import meetings
from shared.web import endpoint, forms


def accept(request: Request, data: bytes, found: CalendarReport, *, calendar: str, trigger: str) -> Response:
    """Apply what a calendar reports, and answer 200 even if it cannot be read: a calendar that is refused stops posting
    after a day.

    Args:
        request: what was posted.
        data: its body.
        found: what was read of it.
        calendar: its name, for the owner.
        trigger: which campaign a booking enrolls in.
    """
    outcome = "ignored"
    if found.events or found.unread:
        intake = forms.intake(request, data)
        outcome = meetings.report_all(found, calendar=calendar, trigger=trigger, intake=intake)
    return endpoint.answer(200, {"status": "accepted", "outcome": outcome})
