"""What Cal.com would post about a booking, with its signature.
https://cal.com/docs/developing/guides/automation/webhooks"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from shared.domain.forms import Email

LENGTH = timedelta(minutes=30)
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
    "no-show": "BOOKING_NO_SHOW_UPDATED",
}

Uid = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{22}$")]


class Request(BaseModel):
    """What the booking page asks for.

    Attributes:
        action: what happened in the calendar.
        starts_at: when the call begins; with a reschedule, the new time.
        uid: the booking that is changed; a new one gets the uid that `new_uid` makes.
        previous_start: with a reschedule, when the call was to begin.
    """

    action: Literal["book", "reschedule", "cancel", "no-show"]
    email: Email
    name: Annotated[str, Field(min_length=1, max_length=100)]
    timezone: Annotated[str, Field(max_length=64)] = "UTC"
    starts_at: Annotated[AwareDatetime, AfterValidator(lambda instant: instant.astimezone(UTC))]
    uid: Uid | None = None
    previous_start: AwareDatetime | None = None


def new_uid(key: str) -> str:
    """The uid of a booking: the same for the same request, so that a repeated one books once.

    Args:
        key: the request's `Idempotency-Key`.
    """
    return hashlib.sha256(key.encode()).hexdigest()[:22]


def _booking_id(uid: str) -> int:
    return int(hashlib.sha256(uid.encode()).hexdigest()[:6], 16)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event(request: Request, uid: str, now: datetime) -> dict[str, Any]:
    """The body that Cal.com would post.

    Args:
        request: what happened.
        uid: of the booking that the event is about.
        now: when it happened.
    """
    payload = _no_show(request, uid) if request.action == "no-show" else _booking(request, uid)
    return {"triggerEvent": EVENTS[request.action], "createdAt": _instant(now), "payload": payload}


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
    booking = {
        "title": f"First call between {HOST['name']} and {request.name}",
        "type": "first-call",
        "eventTitle": "First call",
        "eventTypeId": 4107,
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
        "status": "CANCELLED" if request.action == "cancel" else "ACCEPTED",
    }
    if request.action == "cancel":
        booking |= {"cancellationReason": "Canceled on the demo website", "cancelledBy": request.email}
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
