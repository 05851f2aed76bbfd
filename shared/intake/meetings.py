"""Meetings: what a calendar reports becomes reminders, ends what a booking ends, and asks who did not come to book again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.core import log
from shared.domain import timing
from shared.domain.catalog import Campaign
from shared.domain.enrollment_plan import plan_enrollment
from shared.domain.forms import MeetingEvent
from shared.intake.enrolling import Intake, exits, start_of
from shared.ledger import ids

SEEN_TTL = 7 * timing.DAY
KEEP = 30 * timing.DAY  # after its start: what arrives late must still find its meeting
NO_SHOW = "calendly-noshow"  # the trigger of a missed call, whichever calendar reports it
_logger = log.logger("meetings")


def report(event: MeetingEvent, *, trigger: str, intake: Intake) -> str:
    """Do what a calendar's event asks for. Events may come twice and in any order.

    Args:
        event: what happened.
        trigger: which campaign a booking enrolls in.
        intake: where it came in.

    Returns:
        `enrolled`, `exists`, `tracked`, `cancelled`, `ignored` or `duplicate`.
    """
    email = event.contact.get("email", "")
    order: dict[str, Any] = {
        "contact": ids.digest(email),
        "fields": dict(event.contact),
        "source": trigger if event.what == "booked" else NO_SHOW,
        "seen": ids.digest(event.key),
        "seen_ttl": SEEN_TTL,
        "answer": "",
        "meeting": {
            "what": event.what,
            "uid": ids.digest(event.uid),
            "at": event.at,
            "starts": event.starts,
            "replaces": ids.digest(event.replaces) if event.replaces else None,
            "keep": KEEP + max(0, (event.starts or 0) - intake.now),
        },
    }
    order["meeting"] = {name: value for name, value in order["meeting"].items() if value is not None}
    if event.what == "booked":
        order |= {"exit": exits("booked", event.at, intake)} | _reminders(event, trigger, intake)
    elif event.what == "no-show":
        order |= _recovery(event, intake)
    what, which = intake.ledger.enroll(order)
    _logger.info("meeting.reported", what=event.what, outcome=what, enrollment=which or None, request_id=intake.request_id)
    return what


def _reminders(event: MeetingEvent, trigger: str, intake: Intake) -> dict[str, Any]:
    campaign = intake.catalog.triggered_by(trigger)
    if campaign is None or event.starts is None:
        return {}
    day, hour = timing.spoken(event.starts, timing.zone(event.contact.get("timezone"), intake.settings.business_timezone))
    values = {"reschedule_url": intake.settings.booking_url, **event.values, "meeting_day": day, "meeting_time": hour}
    anchor = event.starts if any(step.before is not None for step in campaign.steps) else event.at
    run = _plan(campaign, anchor, event, intake, values)
    return start_of(campaign, f"{event.uid}:{event.starts}", intake) | run


def _recovery(event: MeetingEvent, intake: Intake) -> dict[str, Any]:
    campaign = intake.catalog.triggered_by(NO_SHOW)
    if campaign is None:
        return {}
    run = _plan(campaign, intake.now, event, intake, event.values)
    return start_of(campaign, event.uid, intake) | run


def _plan(campaign: Campaign, anchor: int, event: MeetingEvent, intake: Intake, values: Mapping[str, str]) -> dict[str, Any]:
    zone_name = event.contact.get("timezone")
    return plan_enrollment(campaign, anchor, zone_name, settings=intake.settings, now=intake.now, values=values)
