"""What Cal.com posts: proved, and read; what cannot be read is named in words, and costs nothing that can."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.forms import CalendarReport, MeetingEvent
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
        ({"attendees": [{"email": "somebody@nowhere"}]}, "payload.attendees.0.email is not valid"),
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


class TestSeats:
    """Events with seatsPerTimeSlot: several bookers share one uid."""

    @pytest.mark.parametrize(
        "make",
        [calendar_samples.calcom_created, calendar_samples.calcom_cancelled, calendar_samples.calcom_rejected],
    )
    def test_each_attendee_has_an_event(self, make: Callable[[], dict[str, Any]]) -> None:
        """With a key of their own: two of the same instant are two events."""
        found = report(changed(make(), seatsPerTimeSlot=6, attendees=people("a@example.org", "b@example.org")))
        assert [(event.contact["email"], event.listed, event.seated) for event in found.events] == [
            ("a@example.org", 0, True),
            ("b@example.org", 1, True),
        ]
        alone = read(changed(make(), seatsPerTimeSlot=6, attendees=people("b@example.org")))
        assert found.events[0].key != found.events[1].key == alone.key

    @pytest.mark.parametrize("seats", [None, 0, "many"])
    def test_without_seats_the_first_attendee_is_the_booker(self, seats: Any) -> None:
        """Others are guests."""
        guests = people("a@example.org", "guest@example.org")
        event = read(changed(calendar_samples.calcom_created(), seatsPerTimeSlot=seats, attendees=guests))
        assert (event.contact["email"], event.seated) == ("a@example.org", False)

    def test_an_attendee_who_cannot_be_read_costs_no_other(self) -> None:
        """The others count, and it is said who does not."""
        attendees = [*people("a@example.org", "taro.@example.org"), None, *people("b@example.org")]
        found = report(changed(calendar_samples.calcom_created(), seatsPerTimeSlot=6, attendees=attendees))
        assert [event.contact["email"] for event in found.events] == ["a@example.org", "b@example.org"]
        assert found.unread == ("payload.attendees.1.email is not valid", "payload.attendees.2 is not valid")

    def test_the_first_who_can_be_read_is_the_booker(self) -> None:
        """If the booker's own address is not valid, the next attendee is reminded."""
        attendees = people("jane@corp.local", "guest@example.org")
        found = report(changed(calendar_samples.calcom_created(), attendees=attendees))
        assert [event.contact["email"] for event in found.events] == ["guest@example.org"]
        assert found.unread == ("payload.attendees.0.email is not valid",)

    @pytest.mark.parametrize("attendees", [[], None])
    def test_a_seat_without_an_attendee_cannot_be_given_back(self, attendees: Any) -> None:
        """It is not known whose reminders end."""
        found = report(changed(calendar_samples.calcom_cancelled(), seatsPerTimeSlot=6, attendees=attendees))
        assert found == CalendarReport(unread=("payload.attendees is missing",))

    def test_a_seat_with_only_a_phone_number_is_left_out(self) -> None:
        """The others count."""
        attendees = people("15550100@sms.cal.com", "b@example.org")
        event = read(changed(calendar_samples.calcom_created(), seatsPerTimeSlot=6, attendees=attendees))
        assert (event.contact["email"], event.listed) == ("b@example.org", 1)


def test_several_marks() -> None:
    """Each attendee's mark is an event; one that cannot be read costs no other."""
    marks: list[Any] = [
        {"email": "a@example.org", "noShow": True},
        {"email": "b@example.org"},
        {"email": '"jane doe"@example.org', "noShow": True},
        {"email": "c@example.org", "noShow": False},
    ]
    found = report(changed(calendar_samples.calcom_no_show(), attendees=marks))
    assert [(event.what, event.contact["email"]) for event in found.events] == [
        ("no-show", "a@example.org"),
        ("no-show-undone", "c@example.org"),
    ]
    assert len({event.key for event in found.events}) == 2
    assert found.unread == ("payload.attendees.1.noShow is missing", "payload.attendees.2.email is not valid")


class TestSeries:
    """A recurring series: each meeting has its own uid, and one event cancels all that remains."""

    WEEKLY: ClassVar = {"freq": 2, "count": 3, "interval": 1}

    def test_a_meeting_of_a_series_names_it(self) -> None:
        """By the event type, as Cal.com posts no other id."""
        assert read(calendar_samples.calcom_created()).series is None
        assert read(changed(calendar_samples.calcom_created(), recurringEvent=self.WEEKLY)).series == "41"

    def test_the_cancelled_dates_are_read(self) -> None:
        """Each that is one."""
        dates = ["2026-12-10T18:00:00.000Z", "soon", None, "2026-12-17T18:00:00+00:00"]
        event = read(changed(calendar_samples.calcom_cancelled(), recurringEvent=self.WEEKLY, cancelledDates=dates))
        assert event.dates == (milliseconds("2026-12-10T18:00:00Z"), milliseconds("2026-12-17T18:00:00Z"))

    @pytest.mark.parametrize("make", [calendar_samples.calcom_rejected, lambda: calendar_samples.calcom_requested("a")])
    def test_only_a_cancellation_ends_a_series(self, make: Callable[[], dict[str, Any]]) -> None:
        """Not the host who confirms none of it, nor one date that moves."""
        event = read(changed(make(), recurringEvent=self.WEEKLY, cancelledDates=["2026-12-10T18:00:00Z"]))
        assert (event.what, event.series, event.dates) == ("cancelled", None, ())

    @pytest.mark.parametrize(
        ("change", "series"),
        [
            ({"recurringEvent": WEEKLY}, "41"),
            ({"recurringEvent": WEEKLY, "cancelledEventsCount": 2}, "41"),
            ({"recurringEvent": WEEKLY, "cancelledEventsCount": 1}, None),
            ({"recurringEvent": WEEKLY, "eventTypeId": None}, None),
            ({"recurringEvent": None}, None),
            ({}, None),
        ],
    )
    def test_without_dates_all_that_remains_ends(self, change: dict[str, Any], series: str | None) -> None:
        """Cal.com names the series only when all of it is cancelled; of one meeting alone it says nothing of it."""
        event = read(changed(calendar_samples.calcom_cancelled(), **change))
        assert (event.series, event.dates) == (series, ())


class TestOlderPayloads:
    """What older releases of Cal.com left out, or named otherwise."""

    @pytest.mark.parametrize("uid", [{"uid": None}, {"uid": ""}, {}])
    def test_a_move_without_a_uid_keeps_the_old_one(self, uid: dict[str, Any]) -> None:
        """The same booking at its new time."""
        posted = calendar_samples.calcom_rescheduled("old")
        del posted["payload"]["uid"]
        event = read(changed(posted, **uid))
        assert (event.what, event.uid, event.replaces) == ("booked", "old", None)

    def test_a_booking_uid(self) -> None:
        """The uid, as BOOKING_NO_SHOW_UPDATED names it."""
        posted = calendar_samples.calcom_cancelled()
        posted["payload"]["bookingUid"] = posted["payload"].pop("uid")
        assert read(posted).uid == calendar_samples.UID

    @pytest.mark.parametrize("created", [None, "", "soon", []])
    def test_without_an_instant_it_happened_when_it_arrived(self, created: Any) -> None:
        """The same body again is the same event; a changed one is another."""
        posted = calendar_samples.calcom_created() | {"createdAt": created}
        event, again, moved = read(posted), read(posted), read(changed(posted, startTime="2026-12-05T18:00:00Z"))
        assert event.at == NOW
        assert event.key == again.key != moved.key

    def test_an_attendee_without_more_than_an_address(self) -> None:
        """Neither name nor zone."""
        event = read(changed(calendar_samples.calcom_created(), attendees=[{"email": calendar_samples.EMAIL}]))
        assert event.contact == {"email": calendar_samples.EMAIL}


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
