"""Made-up events of Cal.com and Calendly in their real shape, the headers that prove them, and junk to put into them.

Each event is a fresh dict, to be changed at will; `body` makes it the bytes that are posted and signed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import strategies as st

from shared.core.errors import WebhookError
from shared.domain.forms import MeetingEvent

UID = "bJ4wUidOfAMeeting9sTzQ"
START = "2026-12-03T18:00:00Z"
POSTED = "2026-11-21T21:50:00.538Z"
EMAIL = "jane@example.org"
API = "https://api.calendly.com"
JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(["https://[::1", "https://\u2100.com/"])
    | st.sampled_from(
        ["\ud800", "\0", EMAIL, START, "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # any value that JSON has


def body(posted: dict[str, Any]) -> bytes:
    """An event as it is posted."""
    return json.dumps(posted).encode()


def refused(act: Callable[[], object]) -> WebhookError:
    """The error with which something is refused."""
    with pytest.raises(WebhookError) as caught:
        act()
    return caught.value


def milliseconds(text: str) -> int:
    """An instant as MeetingEvent has it."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def storable(event: MeetingEvent) -> bool:
    """Whether Redis, and a Lua script, can hold an event: texts are printable Unicode, instants whole numbers that a
    double carries."""
    texts = [event.key, event.uid, event.replaces or "", *event.contact.values(), *event.values.values()]
    return all("\0" not in text and text.encode() == text.encode(errors="replace") for text in texts) and all(
        abs(instant) < 2**53 for instant in (event.at, event.starts or 0)
    )


def signed_calcom(body: bytes, secret: str) -> dict[str, str]:
    """The headers with which Cal.com posts a body."""
    return {
        "Content-Type": "application/json",
        "X-Cal-Signature-256": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
        "X-Cal-Webhook-Version": "2021-10-20",
    }


def signed_calendly(body: bytes, key: str, at_seconds: int) -> dict[str, str]:
    """The headers with which Calendly posts a body at a time in Unix seconds."""
    signature = hmac.new(key.encode(), f"{at_seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "Calendly-Webhook-Signature": f"t={at_seconds},v1={signature}"}


def calcom_created(uid: str = UID, start: str = START, email: str = EMAIL, posted: str = POSTED) -> dict[str, Any]:
    """BOOKING_CREATED: a video call that needs no confirmation."""
    return _calcom("BOOKING_CREATED", "ACCEPTED", uid, start, email, posted)


def calcom_rescheduled(
    old_uid: str, uid: str = UID, start: str = START, email: str = EMAIL, posted: str = POSTED
) -> dict[str, Any]:
    """BOOKING_RESCHEDULED: the booking `old_uid` has become the booking `uid`."""
    return _replacing(old_uid, _calcom("BOOKING_RESCHEDULED", "ACCEPTED", uid, start, email, posted))


def calcom_requested(
    old_uid: str | None = None, uid: str = UID, start: str = START, email: str = EMAIL, posted: str = POSTED
) -> dict[str, Any]:
    """BOOKING_REQUESTED: a booking that awaits confirmation, perhaps in place of another."""
    event = _calcom("BOOKING_REQUESTED", "PENDING", uid, start, email, posted)
    return _replacing(old_uid, event) if old_uid else event


def calcom_cancelled(uid: str = UID, start: str = START, email: str = EMAIL, posted: str = POSTED) -> dict[str, Any]:
    """BOOKING_CANCELLED by the booker."""
    return _calcom("BOOKING_CANCELLED", "CANCELLED", uid, start, email, posted)


def calcom_rejected(uid: str = UID, start: str = START, email: str = EMAIL, posted: str = POSTED) -> dict[str, Any]:
    """BOOKING_REJECTED by the host."""
    return _calcom("BOOKING_REJECTED", "REJECTED", uid, start, email, posted)


def calcom_no_show(uid: str = UID, email: str = EMAIL, no_show: bool = True, posted: str = POSTED) -> dict[str, Any]:
    """BOOKING_NO_SHOW_UPDATED: an attendee has been marked, or unmarked."""
    payload = {
        "message": f"{email} {'marked' if no_show else 'unmarked'} as no-show",
        "attendees": [{"email": email, "noShow": no_show}],
        "bookingUid": uid,
        "bookingId": 7001,
    }
    return {"triggerEvent": "BOOKING_NO_SHOW_UPDATED", "createdAt": posted, "payload": payload}


def calcom_ping() -> dict[str, Any]:
    """PING: the test button in Cal.com's settings."""
    payload = {
        "type": "Test",
        "title": "Test trigger event",
        "startTime": POSTED,
        "endTime": POSTED,
        "attendees": [],
        "organizer": {},
    }
    return {"triggerEvent": "PING", "createdAt": POSTED, "payload": payload}


def _calcom(trigger: str, status: str, uid: str, start: str, email: str, posted: str) -> dict[str, Any]:
    language = {"locale": "en"}
    attendee = {
        "email": email,
        "name": "Jane Doe",
        "firstName": "Jane",
        "lastName": "Doe",
        "timeZone": "America/Toronto",
    }
    payload = {
        "bookerUrl": "https://cal.com",
        "title": "First call between Robin Host and Jane Doe",
        "startTime": start,
        "endTime": start,
        "additionalNotes": "",
        "type": "first-call",
        "eventTypeId": 41,
        "seatsPerTimeSlot": None,
        "disableRescheduling": False,
        "organizer": {
            "id": 5,
            "name": "Robin Host",
            "email": "robin@example.org",
            "timeZone": "America/Toronto",
            "language": language,
        },
        "attendees": [attendee | {"language": language, "utcOffset": -300}],
        "customInputs": {},
        "responses": {
            "name": {"label": "your_name", "value": "Jane Doe"},
            "email": {"label": "email_address", "value": email},
        },
        "location": "integrations:daily",
        "destinationCalendar": None,
        "requiresConfirmation": False,
        "uid": uid,
        "videoCallData": {"type": "daily_video", "id": "room", "password": "", "url": "https://video.example.org/room"},
        "eventTitle": "First call",
        "length": 30,
        "bookingId": 7001,
        "metadata": {"videoCallUrl": "https://video.example.org/room"},
        "status": status,
    }
    return {"triggerEvent": trigger, "createdAt": posted, "payload": payload}


def _replacing(old_uid: str, event: dict[str, Any]) -> dict[str, Any]:
    event["payload"] |= {"rescheduleId": 7000, "rescheduleUid": old_uid, "rescheduleStartTime": "2026-12-02T15:00:00Z"}
    return event


def calendly_created(
    uid: str = UID, start: str = START, email: str = EMAIL, posted: str = POSTED, old_uid: str | None = None
) -> dict[str, Any]:
    """invitee.created: a booking, perhaps in place of another invitee's."""
    event = _calendly("invitee.created", uid, start, email, posted)
    event["payload"]["old_invitee"] = invitee_uri(old_uid) if old_uid else None
    return event


def calendly_canceled(
    uid: str = UID, start: str = START, email: str = EMAIL, posted: str = POSTED, new_uid: str | None = None
) -> dict[str, Any]:
    """invitee.canceled: a cancellation, perhaps because another booking takes its place."""
    event = _calendly("invitee.canceled", uid, start, email, posted)
    event["payload"] |= {
        "status": "canceled",
        "rescheduled": new_uid is not None,
        "new_invitee": invitee_uri(new_uid) if new_uid else None,
    }
    return event


def calendly_no_show(
    uid: str = UID, start: str = START, email: str = EMAIL, posted: str = POSTED, mark: str = "mark-1"
) -> dict[str, Any]:
    """invitee_no_show.created: the invitee has been marked; each mark has an id of its own."""
    event = _calendly("invitee_no_show.created", uid, start, email, posted)
    event["payload"]["no_show"] = {"uri": f"{API}/invitee_no_shows/{mark}", "created_at": posted}
    return event


def calendly_no_show_undone(
    uid: str = UID, start: str = START, email: str = EMAIL, posted: str = POSTED
) -> dict[str, Any]:
    """invitee_no_show.deleted: the mark is gone."""
    return _calendly("invitee_no_show.deleted", uid, start, email, posted)


def invitee_uri(uid: str) -> str:
    """How Calendly names an invitee."""
    return f"{API}/scheduled_events/meeting-{uid}/invitees/{uid}"


def _calendly(event: str, uid: str, start: str, email: str, posted: str) -> dict[str, Any]:
    meeting = {
        "uri": f"{API}/scheduled_events/meeting-{uid}",
        "name": "First call",
        "start_time": start,
        "end_time": start,
        "status": "active",
        "location": {
            "type": "zoom",
            "status": "pushed",
            "join_url": "https://video.example.org/room",
            "data": {"id": 1},
        },
    }
    payload = {
        "uri": invitee_uri(uid),
        "event": meeting["uri"],
        "email": email,
        "name": "Jane Doe",
        "first_name": None,
        "last_name": None,
        "timezone": "America/Toronto",
        "status": "active",
        "rescheduled": False,
        "old_invitee": None,
        "new_invitee": None,
        "no_show": None,
        "created_at": posted,
        "cancel_url": f"https://calendly.com/cancellations/{uid}",
        "reschedule_url": f"https://calendly.com/reschedulings/{uid}",
        "questions_and_answers": [],
        "scheduled_event": meeting,
    }
    return {"event": event, "created_at": posted, "created_by": f"{API}/users/host", "payload": payload}
