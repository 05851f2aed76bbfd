"""What Cal.com posts: proved, read, and refused in words where it lacks what it needs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.errors import WebhookError
from shared.domain.forms import MeetingEvent
from shared.integrations import calcom
from tests.support import calendar_samples
from tests.support.calendar_samples import milliseconds, refused

PAGE = f"https://cal.com/video/{calendar_samples.UID}"
MEET, TEAMS = "integrations:google:meet", "integrations:office365_video"
ROOM, OTHER_ROOM = "https://meet.google.com/abc-defg-hij", "https://meet.google.com/new-defg-hij"
TEAMS_CALL = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_Y2@thread.v2/0?context=%7b%7d"
ZOOM = "https://us05web.zoom.us/j/123?pwd=a.b"
BAD = "https://bad.example.org/"
SECRET = "the secret of the tests"
BODY = calendar_samples.body(calendar_samples.calcom_created())


def read(posted: dict[str, Any]) -> MeetingEvent:
    """The event in a body that has one."""
    event = calcom.event(calendar_samples.body(posted))
    assert event is not None
    return event


def chosen(kind: str, typed: object = "") -> dict[str, Any]:
    """The booker's answer to where to meet: a kind of place, and what they typed for it."""
    return {"location": {"label": "location", "value": {"value": kind, "optionValue": typed}}}


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
    assert calcom.event(calendar_samples.body(calendar_samples.calcom_requested())) is None


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
    assert calcom.event(calendar_samples.body(posted)) is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"uid": None}, ["payload", "uid"]),
        ({"uid": "a b"}, ["payload", "uid"]),
        ({"startTime": "0000-01-01T00:00:00Z"}, ["payload", "startTime"]),
        ({"startTime": "9999999-01-01T00:00:00Z"}, ["payload", "startTime"]),
        ({"attendees": []}, ["payload", "attendees"]),
        ({"attendees": [{"email": "somebody@nowhere"}]}, ["payload", "attendees", 0, "email"]),
    ],
)
def test_a_booking_without_a_required_field(change: dict[str, Any], field: list[str | int]) -> None:
    """The response names the faulty field and does not repeat its value."""
    posted = calendar_samples.calcom_created()
    posted["payload"] |= change
    error = refused(lambda: calcom.event(calendar_samples.body(posted)))
    assert error.status == 422
    assert error.details is not None and [detail["loc"] for detail in error.details] == [field]
    assert "nowhere" not in json.dumps(error.details)


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"7", b"null", b'"text"', b"[" * 100_000, b"1" * 5000, b"{"])
def test_a_body_that_is_not_a_json_object(body: bytes) -> None:
    """Anything but a JSON object is a 400."""
    assert refused(lambda: calcom.event(body)).status == 400


def place(**change: Any) -> str | None:
    """Where to meet, according to a booking that differs in some fields."""
    posted = calendar_samples.calcom_created()
    posted["payload"] |= change
    return read(posted).values.get("meeting_place")


@pytest.mark.parametrize(
    "told",
    [
        None,
        "https://video.example.org/theirs",
        "https://bad.example.org/",
        f"https://bad.example.org/video/{calendar_samples.UID}",
        f"{PAGE}?next=https://bad.example.org/",
        ROOM,
        "javascript:alert(1)",
        "https://[::1",
    ],
)
def test_the_video_apps_own_link_counts(told: str | None) -> None:
    """What a booker put into the booking page's address as `metadata`, also on the same host."""
    assert place(metadata={"videoCallUrl": told}) == "https://video.example.org/room"


@pytest.mark.parametrize("page", [PAGE, f"https://app.cal.com/video/{calendar_samples.UID}"])
def test_cal_videos_page_counts_before_its_room(page: str) -> None:
    """Cal.com's own page for this very meeting leads to the room, with the waiting list and the recording."""
    assert place(metadata={"videoCallUrl": page}) == page


@pytest.mark.parametrize(
    ("app", "link"),
    [
        (MEET, ROOM),
        (TEAMS, TEAMS_CALL),
        (TEAMS, "https://teams.live.com/meet/9312?p=Ab1"),
    ],
)
def test_a_link_that_only_metadata_has(app: str, link: str) -> None:
    """Cal.com names the link of a new Google Meet or Teams call nowhere else."""
    assert place(location=app, videoCallData=None, metadata={"videoCallUrl": link}) == link


@pytest.mark.parametrize(
    ("app", "link"),
    [
        ("integrations:daily", ROOM),
        ("1 King St.", ROOM),
        (MEET, TEAMS_CALL),
        (MEET, f"{ROOM}/../evil"),
        (MEET, f"{ROOM}?authuser=https://bad.example.org"),
        (MEET, "https://meet.google.com.bad.example.org/abc-defg-hij"),
        (MEET, "https://meet.google.com@bad.example.org/abc-defg-hij"),
        (MEET, "http://meet.google.com/abc-defg-hij"),
        (TEAMS, "https://teams.microsoft.com/l/app/bad"),
        (TEAMS, ROOM),
        ("integrations:zoom", ZOOM),
        ("integrations:bad", "https://bad.example.org/zoom"),
    ],
)
def test_no_other_link_counts_from_metadata(app: str, link: str) -> None:
    """Only a room of the app that the booking is on, in the form that the app gives it."""
    assert place(location=app, videoCallData=None, metadata={"videoCallUrl": link}) in (None, "1 King St.")


@pytest.mark.parametrize("location", ["integrations:zoom", ZOOM])
def test_a_zoom_call(location: str) -> None:
    """Cal.com writes the video app's link, after a reschedule as the location, too."""
    video = {"type": "zoom_video", "url": ZOOM}
    assert place(location=location, videoCallData=video, metadata={"videoCallUrl": ZOOM}) == ZOOM
    assert place(location=location, videoCallData=video, metadata={"videoCallUrl": f"{ZOOM}&x=1"}) == ZOOM


@pytest.mark.parametrize("kind", ["link", "conferencing", "integrations:whereby_video"])
def test_the_hosts_own_link_counts(kind: str) -> None:
    """If the booker only chose the kind of place, Cal.com put in what the host entered for it."""
    link = "https://meet.example.org/us"
    assert place(location=link, responses=chosen(kind), videoCallData=None, metadata={}) == link


@pytest.mark.parametrize(
    "responses",
    [
        None,
        {},
        {"location": {"value": "link"}},
        {"location": "link"},
        chosen("link", BAD),
        chosen("link", [BAD]),
        chosen("integrations:zoom", {"x": BAD}),
        chosen(BAD),
        chosen("attendeeInPerson", BAD),
        chosen("somewhereElse", BAD),
        chosen("phone"),
    ],
)
def test_a_bookers_link_is_no_place(responses: Any) -> None:
    """The attendee's address, phone number or other place is theirs to type, and no link of theirs is shown."""
    assert place(location=BAD, responses=responses, videoCallData=None, metadata={}) is None


@pytest.mark.parametrize(
    "location",
    [
        "win at www.bad.example.org",
        "bad\u3002example/login",
        "bad\uff0eexample",
        "bad.example",
        "b\u00adad.com",
        "bad\u2060.com",
        "bad .com",
        "bad[.]example",
        "hTTps\uff1a//bad",
        "me@bad.example",
        "192.0.2.7/login",
        {"value": "here"},
        "integrations:daily",
    ],
)
def test_a_place_with_a_link_in_it_is_none(location: Any) -> None:
    """In no disguise; nor is an app's code a place."""
    assert place(location=location, videoCallData=None, metadata=None) is None


@pytest.mark.parametrize(
    "location", ["1 King St. W., Toronto", "St.Catharines, 2nd floor", "Cafe @ 5 Main St.", "+1 555 0100", "駅前"]
)
def test_a_place_in_words(location: str) -> None:
    """An address or a telephone number is shown as it was written, in one line."""
    assert place(location=location.replace(" ", "  "), videoCallData=5, metadata=[]) == location


@pytest.mark.parametrize(
    ("told", "place"), [(OTHER_ROOM, OTHER_ROOM), ("https://bad.example.org/room", ROOM), (f"{OTHER_ROOM}?x=1", ROOM)]
)
def test_the_newer_room_counts_after_a_reschedule(told: str, place: str) -> None:
    """Cal.com names the old room as the video app's and the new one in `metadata`, where only a room of that app
    counts."""
    posted = calendar_samples.calcom_rescheduled("old")
    posted["payload"] |= {
        "location": MEET,
        "videoCallData": {"type": "google_meet_video", "url": ROOM},
        "metadata": {"videoCallUrl": told},
    }
    assert read(posted).values["meeting_place"] == place


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
    """For any values in the fields, the result is an event that can be stored, None, 400 or 422."""
    posted = calendar_samples.calcom_rescheduled("old") | {"triggerEvent": trigger}
    posted["payload"] |= {"bookingUid": calendar_samples.UID} | change
    if attendee is not None:
        posted["payload"]["attendees"] = [attendee]
    for value in (posted, junk, {"triggerEvent": junk}, posted | {"payload": junk}, posted | {"createdAt": junk}):
        try:
            event = calcom.event(json.dumps(value).encode())
        except WebhookError as error:
            assert error.status in (400, 422)
            json.dumps(error.details).encode()
        else:
            assert event is None or calendar_samples.storable(event)
