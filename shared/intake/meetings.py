"""Meetings: turns what a calendar reports into reminders, ends what a booking ends, and asks people who did not come to
book again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from shared.core import log
from shared.domain import timing
from shared.domain.catalog import Campaign
from shared.domain.enrollment_plan import Plan, plan_enrollment
from shared.domain.forms import MeetingEvent
from shared.intake.context import Intake, exits, start_of
from shared.ledger import ids
from shared.ledger.answers import Enrolled
from shared.ledger.enroll_orders import Enroll, Meeting

SEEN_TTL = 7 * timing.DAY
KEEP = 30 * timing.DAY  # after its start: a late event must still find its meeting
NO_SHOW = "calendly-noshow"  # the trigger of a missed call, for every calendar
_logger = log.logger("meetings")


def report(event: MeetingEvent, *, trigger: str, intake: Intake) -> Enrolled:
    """Apply a calendar's event. Events may come twice and in any order.

    Args:
        event: what happened.
        trigger: which campaign a booking enrolls in.
        intake: where it came in.

    Returns:
        `enrolled`, `exists`, `tracked`, `cancelled`, `ignored` or `duplicate`.
    """
    order = Enroll(
        contact=ids.digest(event.contact.get("email", "")),
        fields=dict(event.contact),
        source=trigger if event.what == "booked" else NO_SHOW,
        seen=ids.digest(event.key),
        seen_ttl=SEEN_TTL,
        answer="",
        meeting=Meeting(
            what=event.what,
            uid=ids.digest(event.uid),
            at=event.at,
            starts=event.starts,
            replaces=ids.digest(event.replaces) if event.replaces else None,
            keep=KEEP + max(0, (event.starts or 0) - intake.now),
        ),
    )
    if event.what == "booked":
        order = _reminders(replace(order, exit=exits("booked", event.at, intake)), event, trigger, intake)
    elif event.what == "no-show":
        order = _recovery(order, event, intake)
    done = intake.ledger.enroll(order)
    _logger.info(
        "meeting.reported",
        what=event.what,
        outcome=done.what,
        enrollment=done.which or None,
        request_id=intake.request_id,
    )
    return done


def _reminders(order: Enroll, event: MeetingEvent, trigger: str, intake: Intake) -> Enroll:
    campaign = intake.catalog.triggered_by(trigger)
    if campaign is None or event.starts is None:
        return order
    day, hour = timing.spoken(
        event.starts, timing.zone(event.contact.get("timezone"), intake.settings.business_timezone)
    )
    values = {"reschedule_url": intake.settings.booking_url, **event.values, "meeting_day": day, "meeting_time": hour}
    anchor = event.starts if any(step.before is not None for step in campaign.steps) else event.at
    plan = _plan(campaign, anchor, event, intake, values)
    return replace(order, start=start_of(campaign, f"{event.uid}:{event.starts}", intake), plan=plan)


def _recovery(order: Enroll, event: MeetingEvent, intake: Intake) -> Enroll:
    campaign = intake.catalog.triggered_by(NO_SHOW)
    if campaign is None:
        return order
    plan = _plan(campaign, intake.now, event, intake, event.values)
    return replace(order, start=start_of(campaign, event.uid, intake), plan=plan)


def _plan(campaign: Campaign, anchor: int, event: MeetingEvent, intake: Intake, values: Mapping[str, str]) -> Plan:
    zone_name = event.contact.get("timezone")
    return plan_enrollment(campaign, anchor, zone_name, settings=intake.settings, now=intake.now, values=values)
