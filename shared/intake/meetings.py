"""Meetings: turns what a calendar reports into reminders, ends what a booking ends, and asks people who did not come to
book again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from shared.core import log
from shared.domain import timing
from shared.domain.catalog import Campaign
from shared.domain.enrollment_plan import Plan, plan_enrollment
from shared.domain.forms import CalendarReport, MeetingEvent
from shared.intake.context import Intake, exits, start_of
from shared.ledger import ids
from shared.ledger.answers import Enrolled
from shared.ledger.enroll_orders import Enroll, Meeting

SEEN_TTL = 7 * timing.DAY
MOST_NAMED = 3  # of what could not be read, in an alert
KEEP = 30 * timing.DAY  # after its start: a late event must still find its meeting
NO_SHOW = "calendly-noshow"  # the trigger of a missed call, for every calendar
_logger = log.logger("meetings")


def report_all(found: CalendarReport, *, calendar: str, trigger: str, intake: Intake) -> str:
    """Apply all that a calendar reports at once, and tell the owner what could not be read.

    Each event is applied alone: where this stops between two of them, a repeated delivery does the rest.

    Args:
        found: what was read.
        calendar: its name, for the owner.
        trigger: which campaign a booking enrolls in.
        intake: where it came in.

    Returns:
        The outcome of the first event that has one, as `report` gives it.
    """
    outcomes = [report(event, trigger=trigger, intake=intake).what for event in found.events]
    if found.unread:
        _logger.warning("meeting.unread", calendar=calendar, why=found.unread, request_id=intake.request_id)
        why = "; ".join(found.unread[:MOST_NAMED])
        intake.ledger.alert("calendar", f"{calendar}: {why} (request {intake.request_id} in the log)")
    effective = [outcome for outcome in outcomes if outcome not in ("ignored", "duplicate")]
    return (effective or outcomes or ["ignored"])[0]


def report(event: MeetingEvent, *, trigger: str, intake: Intake) -> Enrolled:
    """Apply a calendar's event. Events may come twice and in any order.

    Args:
        event: what happened.
        trigger: which campaign a booking enrolls in.
        intake: where it came in.

    Returns:
        `enrolled`, `exists`, `tracked`, `cancelled`, `ignored` or `duplicate`.
    """
    reminds = intake.catalog.triggered_by(trigger)
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
            seat=_seat(event.uid, event),
            seated=event.seated,
            first=event.listed == 0,
            at=event.at,
            starts=event.starts,
            replaces=ids.digest(event.replaces) if event.replaces else None,
            replaces_seat=_seat(event.replaces, event),
            series=event.series,
            dates=event.dates,
            reminds=reminds.slug if reminds else None,
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


def _seat(uid: str | None, event: MeetingEvent) -> str | None:
    """The attendee's seat in a booking, unless it can have no seats."""
    email = event.contact.get("email")
    return ids.digest(f"{uid}:{email}") if uid and email and event.seated is not False else None


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
    subject = f"{event.uid}:{event.starts}" + (f":{event.contact['email']}" if event.seated else "")
    return replace(order, start=start_of(campaign, subject, intake), plan=plan)


def _recovery(order: Enroll, event: MeetingEvent, intake: Intake) -> Enroll:
    campaign = intake.catalog.triggered_by(NO_SHOW)
    if campaign is None:
        return order
    plan = _plan(campaign, intake.now, event, intake, event.values)
    return replace(order, start=start_of(campaign, event.uid, intake), plan=plan)


def _plan(campaign: Campaign, anchor: int, event: MeetingEvent, intake: Intake, values: Mapping[str, str]) -> Plan:
    zone_name = event.contact.get("timezone")
    return plan_enrollment(campaign, anchor, zone_name, settings=intake.settings, now=intake.now, values=values)
