"""What Cal.com would post about a booking, with its signature.
https://cal.com/docs/developing/guides/automation/webhooks"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from shared.domain.forms import Email

LENGTH, WEEK = timedelta(minutes=30), timedelta(weeks=1)
HOST = {
    "id": 7,
    "name": "Noor Haddad",
    "email": "noor@northside.example.org",
    "username": "noor",
    "timeZone": "America/Toronto",
}
EVENTS = {
    "book": "BOOKING_CREATED",
    "reschedule": "BOOKING_RESCHEDULED",
    "cancel": "BOOKING_CANCELLED",
    "cancel-all": "BOOKING_CANCELLED",
    "no-show": "BOOKING_NO_SHOW_UPDATED",
}


class Kind(NamedTuple):
    """An event type: its number and title, how many seats a slot has (None: it is one booker's), and for how many weeks
    it recurs."""

    id: int
    title: str
    seats: int | None = None
    weeks: int = 1


KINDS = {
    "call": Kind(4107, "First call"),
    "workshop": Kind(4108, "Workshop", seats=6),
    "coaching": Kind(4109, "Coaching", weeks=3),
}

Uid = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{22}$")]


class Request(BaseModel):
    """What the booking page asks for.

    Attributes:
        action: what happened in the calendar; `cancel-all`: to all that remains of a series.
        kind: the event type.
        starts_at: when the call begins; with a reschedule, the new time; of a series, the first one.
        uid: the booking that is changed; a new one gets the uid that `new_uid` makes.
        previous_start: with a reschedule, when the call was to begin.
    """

    action: Literal["book", "reschedule", "cancel", "cancel-all", "no-show"]
    kind: Literal["call", "workshop", "coaching"] = "call"
    email: Email
    name: Annotated[str, Field(min_length=1, max_length=100)]
    timezone: Annotated[str, Field(max_length=64)] = "UTC"
    starts_at: Annotated[AwareDatetime, AfterValidator(lambda instant: instant.astimezone(UTC))]
    uid: Uid | None = None
    previous_start: AwareDatetime | None = None


def new_uid(request: Request, key: str) -> str:
    """The uid of a booking: the same for the same request, so that a repeated one books once. A slot with seats has one
    for all.

    Args:
        request: what is booked.
        key: the request's `Idempotency-Key`.
    """
    return _uid(request.starts_at.isoformat() if KINDS[request.kind].seats else key)


def _uid(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:22]


def _booking_id(uid: str) -> int:
    return int(hashlib.sha256(uid.encode()).hexdigest()[:6], 16)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def events(request: Request, uid: str, now: datetime) -> list[dict[str, Any]]:
    """The bodies that Cal.com would post, one after the other: one for each date of a series that is booked, and a
    single one where all of it is cancelled.

    Args:
        request: what happened.
        uid: of the booking that the event is about; of a series, the first one's.
        now: when it happened.
    """
    if request.action == "no-show":
        payloads = [_no_show(request, uid)]
    elif request.action == "book":
        dates = _dates(request)
        uids = [uid, *(_uid(f"{uid}:{date}") for date in dates[1:])]
        payloads = [
            _booking(request.model_copy(update={"starts_at": date}), own) for date, own in zip(dates, uids, strict=True)
        ]
    else:
        payloads = [_booking(request, uid)]
    trigger, at = EVENTS[request.action], _instant(now)
    return [{"triggerEvent": trigger, "createdAt": at, "payload": payload} for payload in payloads]


def _dates(request: Request) -> list[datetime]:
    return [request.starts_at + week * WEEK for week in range(KINDS[request.kind].weeks)]


def _no_show(request: Request, uid: str) -> dict[str, Any]:
    return {
        "message": f"{request.email} marked as no-show",
        "attendees": [{"email": request.email, "noShow": True}],
        "bookingUid": uid,
        "bookingId": _booking_id(uid),
    }


def _booking(request: Request, uid: str) -> dict[str, Any]:
    attendee = {
        "email": request.email,
        "name": request.name,
        "timeZone": request.timezone,
        "language": {"locale": "en"},
    }
    kind = KINDS[request.kind]
    booking = {
        "title": f"{kind.title} between {HOST['name']} and {request.name}",
        "type": kind.title.lower().replace(" ", "-"),
        "eventTitle": kind.title,
        "eventTypeId": kind.id,
        "seatsPerTimeSlot": kind.seats,
        "description": "",
        "startTime": _instant(request.starts_at),
        "endTime": _instant(request.starts_at + LENGTH),
        "length": LENGTH.seconds // 60,
        "organizer": {**HOST, "language": {"locale": "en"}},
        "attendees": [attendee],
        "responses": {
            "name": {"label": "your_name", "value": request.name},
            "email": {"label": "email_address", "value": request.email},
            "location": {"label": "location", "value": {"value": "link", "optionValue": ""}},
        },
        "location": "https://meet.example.org/northside",
        "bookerUrl": "https://cal.example.org",
        "uid": uid,
        "bookingId": _booking_id(uid),
        "status": "CANCELLED" if request.action.startswith("cancel") else "ACCEPTED",
    }
    if request.action.startswith("cancel"):
        booking |= {"cancellationReason": "Canceled on the demo website", "cancelledBy": request.email}
    if kind.weeks > 1 and request.action in ("book", "cancel-all"):
        booking["recurringEvent"] = {"freq": 2, "count": kind.weeks, "interval": 1}
    if request.action == "cancel-all":
        booking["cancelledDates"] = [_instant(date) for date in _dates(request)]
    if request.action == "reschedule" and request.uid and request.previous_start:
        booking |= {
            "rescheduleUid": request.uid,
            "rescheduleId": _booking_id(request.uid),
            "rescheduleStartTime": _instant(request.previous_start),
            "rescheduleEndTime": _instant(request.previous_start + LENGTH),
            "rescheduledBy": request.email,
        }
    return booking


def signed(body: dict[str, Any], secret: str) -> tuple[bytes, dict[str, str]]:
    """The bytes to post and the headers that go with them.

    Args:
        body: from `event`.
        secret: CALCOM_WEBHOOK_SECRET.
    """
    data = json.dumps(body).encode()
    signature = hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
    return data, {
        "Content-Type": "application/json",
        "X-Cal-Webhook-Version": "2021-10-20",
        "X-Cal-Signature-256": signature,
    }
