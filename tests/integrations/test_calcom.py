"""What Cal.com posts: proved, and read; what cannot be read is named in words, and costs nothing that can."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.forms import CalendarReport, MeetingEvent
from shared.integrations import calcom
from tests.support import calendar_samples
from tests.support.calcom_bodies import NOW, changed, read, report
from tests.support.calendar_samples import milliseconds, refused

SECRET = "the secret of the tests"
BODY = calendar_samples.body(calendar_samples.calcom_created())


def test_a_body_that_calcom_signed_passes() -> None:
    """The header that belongs to the very body is a proof."""
    calcom.verify(BODY, calendar_samples.signed_calcom(BODY, SECRET)["X-Cal-Signature-256"], (SECRET,))


@pytest.mark.parametrize("signature", [None, "", "no-secret-provided", "0" * 64, "é" * 64, "\ud800", "a"])
def test_any_other_signature_is_refused(signature: str | None) -> None:
    """A wrong header, with any characters, is a 401 that does not reveal the secret."""
    error = refused(lambda: calcom.verify(BODY, signature, (SECRET,)))
    assert error.status == 401
    assert SECRET not in error.message and "CALCOM_WEBHOOK_SECRET" in error.message


@pytest.mark.parametrize(
    "signature", [calendar_samples.signed_calcom(BODY, "")["X-Cal-Signature-256"], "no-secret-provided", None]
)
def test_without_a_secret_nothing_passes(signature: str | None) -> None:
    """An empty secret is not a secret, even for a body that is signed with it."""
    assert refused(lambda: calcom.verify(BODY, signature, ())).status == 401


def test_a_changed_body_is_refused() -> None:
    """The proof holds for no other body."""
    signature = calendar_samples.signed_calcom(BODY, SECRET)["X-Cal-Signature-256"]
    assert refused(lambda: calcom.verify(BODY + b" ", signature, (SECRET,))).status == 401


def test_a_booking() -> None:
    """A new booking says who comes, when, where, and how to move it."""
    assert read(calendar_samples.calcom_created()) == MeetingEvent(
        what="booked",
        key=f"calcom:BOOKING_CREATED:{calendar_samples.UID}:{milliseconds(calendar_samples.POSTED)}",
        uid=calendar_samples.UID,
        at=milliseconds(calendar_samples.POSTED),
        starts=milliseconds(calendar_samples.START),
        contact={
            "email": calendar_samples.EMAIL,
            "name": "Jane Doe",
            "first_name": "Jane",
            "timezone": "America/Toronto",
        },
        values={
            "meeting_title": "First call",
            "meeting_place": "https://video.example.org/room",
            "reschedule_url": f"https://cal.com/reschedule/{calendar_samples.UID}",
        },
    )


@pytest.mark.parametrize(
    "start", ["2026-12-03T18:00:00+00:00", "2026-12-03T18:00:00.000Z", "2026-12-03T13:00:00-05:00"]
)
def test_a_time_may_be_written_in_several_ways(start: str) -> None:
    """Z, an offset and milliseconds mean the same start."""
    assert read(calendar_samples.calcom_created(start=start)).starts == milliseconds(calendar_samples.START)


def test_a_reschedule_names_what_it_replaces() -> None:
    """A moved booking is a new one in place of the old."""
    event = read(calendar_samples.calcom_rescheduled("old"))
    assert (event.what, event.uid, event.replaces) == ("booked", calendar_samples.UID, "old")


def test_a_booking_that_keeps_its_uid_replaces_nothing() -> None:
    """A booking is never dropped in favor of itself."""
    assert read(calendar_samples.calcom_rescheduled(calendar_samples.UID)).replaces is None


@pytest.mark.parametrize("make", [calendar_samples.calcom_cancelled, calendar_samples.calcom_rejected])
def test_a_cancelled_or_rejected_booking(make: Callable[[], dict[str, Any]]) -> None:
    """Cancelled by the booker and rejected by the host are the same to us."""
    event = read(make())
    assert (event.what, event.uid, event.starts) == (
        "cancelled",
        calendar_samples.UID,
        milliseconds(calendar_samples.START),
    )


def test_a_cancellation_needs_only_the_uid() -> None:
    """The reminders of a cancelled meeting must stop, even if anything else is missing or odd."""
    posted = calendar_samples.calcom_cancelled()
    posted["payload"] = {"uid": calendar_samples.UID, "attendees": "nobody", "startTime": "soon"}
    event = read(posted)
    assert (event.what, event.uid, event.starts, event.contact) == ("cancelled", calendar_samples.UID, None, {})


def test_a_request_is_not_a_booking_yet() -> None:
    """A booking that awaits confirmation is sent again once it is confirmed."""
    assert report(calendar_samples.calcom_requested()) == CalendarReport()


def test_a_request_to_move_a_booking_cancels_it() -> None:
    """Cal.com drops the old booking at once, whether or not the new one is confirmed."""
    event = read(calendar_samples.calcom_requested(old_uid="old"))
    assert (event.what, event.uid, event.starts) == ("cancelled", "old", milliseconds("2026-12-02T15:00:00Z"))
    assert ":old:" in event.key


@pytest.mark.parametrize(("no_show", "what"), [(True, "no-show"), (False, "no-show-undone")])
def test_a_no_show(no_show: bool, what: str) -> None:
    """A mark and its undoing name the meeting and the attendee, and no start."""
    event = read(calendar_samples.calcom_no_show(no_show=no_show))
    assert (event.what, event.uid, event.starts, event.contact) == (
        what,
        calendar_samples.UID,
        None,
        {"email": calendar_samples.EMAIL},
    )


def test_a_second_mark_is_another_event() -> None:
    """A redelivery has the same key, a later mark does not."""
    first, again, later = (
        read(calendar_samples.calcom_no_show(posted=at)).key
        for at in (calendar_samples.POSTED, calendar_samples.POSTED, "2026-12-04T09:00:00Z")
    )
    assert first == again != later


@pytest.mark.parametrize(
    "posted",
    [
        calendar_samples.calcom_ping(),
        {"triggerEvent": "MEETING_STARTED", "uid": calendar_samples.UID, "startTime": calendar_samples.START},
        {"triggerEvent": "FORM_SUBMITTED", "createdAt": calendar_samples.POSTED, "payload": {"formId": "f"}},
        {"triggerEvent": "BOOKING_PAID"},
        {"triggerEvent": "AFTER_GUESTS_CAL_VIDEO_NO_SHOW", "payload": {"bookingUid": calendar_samples.UID}},
        {"triggerEvent": "INVENTED_TOMORROW", "payload": None},
        calendar_samples.calcom_no_show() | {"payload": {"bookingUid": calendar_samples.UID, "attendees": []}},
        calendar_samples.calcom_created(email="15550100@sms.cal.com"),
    ],
)
def test_irrelevant_events_are_ignored(posted: dict[str, Any]) -> None:
    """Other events, a mark that changes no one and a booker without an address are understood and ignored."""
    assert report(posted) == CalendarReport()


@pytest.mark.parametrize(
    ("change", "unread"),
    [
        ({"uid": None}, "payload.uid is not valid"),
        ({"uid": "a b"}, "payload.uid is not valid"),
        ({"startTime": "0000-01-01T00:00:00Z"}, "payload.startTime is not valid"),
        ({"startTime": "9999999-01-01T00:00:00Z"}, "payload.startTime is not valid"),
        ({"attendees": []}, "payload.attendees is not valid"),
        ({"attendees": None}, "payload.attendees is not valid"),
        ({"attendees": [{"email": "jane@nowhere"}]}, "payload.attendees.0.email is not valid"),
        ({"attendees": [{"name": "Jane"}]}, "payload.attendees.0.email is missing"),
        ({"attendees": ["jane"]}, "payload.attendees.0 is not valid"),
    ],
)
def test_a_booking_without_a_required_field(change: dict[str, Any], unread: str) -> None:
    """What could not be read is named, without its value."""
    assert report(changed(calendar_samples.calcom_created(), **change)) == CalendarReport(unread=(unread,))


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"7", b"null", b'"text"', b"[" * 100_000, b"1" * 5000, b"{"])
def test_a_body_that_is_not_a_json_object(body: bytes) -> None:
    """It cannot be read."""
    assert calcom.events(body, NOW).unread in (("the body is not a JSON object",), ("the body is not JSON in UTF-8",))


@pytest.mark.parametrize("title", ["Call at bad\u3002example", "Win: https://bad.example.org", "bad .com"])
def test_a_title_with_a_link_in_it_is_none(title: str) -> None:
    """The title that names the booker counts only without a link; the event's own title is the host's."""
    posted = calendar_samples.calcom_created()
    posted["payload"] |= {"eventTitle": None, "title": title}
    assert "meeting_title" not in read(posted).values
    posted["payload"]["eventTitle"] = "Talk about acme.com"
    assert read(posted).values["meeting_title"] == "Talk about acme.com"


@pytest.mark.parametrize(
    ("change", "url"),
    [
        ({"bookerUrl": None}, f"https://cal.com/reschedule/{calendar_samples.UID}"),
        ({"bookerUrl": "https://book.example.org/"}, f"https://book.example.org/reschedule/{calendar_samples.UID}"),
        ({"bookerUrl": "http://book.example.org"}, None),
        ({"disableRescheduling": True}, None),
    ],
)
def test_where_to_reschedule(change: dict[str, Any], url: str | None) -> None:
    """The link leads to the booker's own site, where moving is allowed at all."""
    posted = calendar_samples.calcom_created()
    posted["payload"] |= change
    assert read(posted).values.get("reschedule_url") == url


def test_odd_extras_do_no_harm() -> None:
    """Names that are missing, advertise or hold control characters, and a guest without an address, count as not
    given."""
    posted = calendar_samples.calcom_created()
    booker = {
        "email": f" {calendar_samples.EMAIL.upper()} ",
        "name": "Win at www.bad.example.org",
        "firstName": "Ja\x00ne",
        "timeZone": 5,
    }
    posted["payload"] |= {
        "attendees": [booker, {"email": None}],
        "eventTitle": None,
        "title": "\ud800",
        "length": "long",
    }
    event = read(posted)
    assert event.contact == {"email": calendar_samples.EMAIL}
    assert "meeting_title" not in event.values


def test_the_bookers_address_is_canonical() -> None:
    """A booking ends the run of the person who typed the same address otherwise."""
    posted = calendar_samples.calcom_created()
    posted["payload"]["attendees"][0]["email"] = "Mia@xn--kse-qla.example.org."
    assert read(posted).contact["email"] == "mia@käse.example.org"


@settings(deadline=None)
@given(
    st.sampled_from(
        [
            "BOOKING_CREATED",
            "BOOKING_RESCHEDULED",
            "BOOKING_CANCELLED",
            "BOOKING_REQUESTED",
            "BOOKING_NO_SHOW_UPDATED",
            "PING",
        ]
    ),
    st.dictionaries(
        st.sampled_from(sorted(calendar_samples.calcom_rescheduled("old")["payload"])),
        calendar_samples.JUNK,
        max_size=4,
    ),
    st.none()
    | st.dictionaries(st.sampled_from(["email", "name", "firstName", "timeZone", "noShow"]), calendar_samples.JUNK),
    calendar_samples.JUNK,
)
def test_no_json_breaks_the_reader(
    trigger: str, change: dict[str, Any], attendee: dict[str, Any] | None, junk: Any
) -> None:
    """For any values in the fields, each event that is found can be stored."""
    posted = calendar_samples.calcom_rescheduled("old") | {"triggerEvent": trigger}
    posted["payload"] |= {"bookingUid": calendar_samples.UID} | change
    if attendee is not None:
        posted["payload"]["attendees"] = [attendee]
    for value in (posted, junk, {"triggerEvent": junk}, posted | {"payload": junk}, posted | {"createdAt": junk}):
        found = calcom.events(json.dumps(value).encode(), NOW)
        assert all(calendar_samples.storable(event) for event in found.events)
        assert "@" not in json.dumps(found.unread)
