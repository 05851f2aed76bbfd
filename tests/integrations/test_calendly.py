"""What Calendly posts: proved, and read; what cannot be read is named in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.forms import CalendarReport, MeetingEvent
from shared.integrations import calendly
from tests.support import calendar_samples
from tests.support.calendar_samples import milliseconds, refused

KEY = "the key of the tests"
NOW = 1_795_298_400
BODY = calendar_samples.body(calendar_samples.calendly_created())


def header(key: str = KEY, at_seconds: int = NOW) -> str:
    """The header with which Calendly posts BODY."""
    return calendar_samples.signed_calendly(BODY, key, at_seconds)["Calendly-Webhook-Signature"]


def read(posted: dict[str, Any]) -> MeetingEvent:
    """The event in a body that has one."""
    found = calendly.events(calendar_samples.body(posted))
    assert len(found.events) == 1 and not found.unread
    return found.events[0]


TIME, SIGNATURE = header().split(",")


def test_the_bookers_address_is_canonical() -> None:
    """A booking ends the run of the person who typed the same address otherwise."""
    posted = calendar_samples.calendly_created()
    posted["payload"]["email"] = "Mia@xn--kse-qla.example.org"
    assert read(posted).contact["email"] == "mia@käse.example.org"


@pytest.mark.parametrize(
    "given_header",
    [header(), f"{SIGNATURE},{TIME}", f"{TIME}, v1={'0' * 64}, {SIGNATURE}", f"{TIME},v0=ab,{SIGNATURE},extra"],
)
def test_a_body_that_calendly_signed_passes(given_header: str) -> None:
    """The order is free, and one right signature among several is enough."""
    calendly.verify(BODY, given_header, (KEY,), NOW)


@pytest.mark.parametrize(
    "given_header",
    [
        *(
            None,
            "",
            "t,v1",
            "é",
            "\ud800",
            TIME,
            SIGNATURE,
            f"t=,{SIGNATURE}",
            f"t=soon,{SIGNATURE}",
            f"t=-1,{SIGNATURE}",
        ),
        *(
            f"t=٣,{SIGNATURE}",
            f"t={'9' * 5000},{SIGNATURE}",
            f"{TIME},{TIME},{SIGNATURE}",
            f"{TIME},v1=é",
            f"{TIME},v1=\ud800",
        ),
        *(f"{TIME},v0={SIGNATURE[3:]}", f"t={NOW + 1},{SIGNATURE}", header(key="another")),
    ],
)
def test_any_other_header_is_refused(given_header: str | None) -> None:
    """A wrong or malformed header, with any characters, is a 401 that does not reveal the key."""
    error = refused(lambda: calendly.verify(BODY, given_header, (KEY,), NOW))
    assert error.status == 401
    assert KEY not in error.message


def test_without_a_key_nothing_passes() -> None:
    """An empty key is not a key, even for a body that is signed with it."""
    assert refused(lambda: calendly.verify(BODY, header(key=""), (), NOW)).status == 401


def test_a_changed_body_is_refused() -> None:
    """The proof holds for no other body."""
    assert refused(lambda: calendly.verify(BODY + b" ", header(), (KEY,), NOW)).status == 401


@pytest.mark.parametrize("seconds", [-180, 0, 180])
def test_a_signature_holds_for_three_minutes(seconds: int) -> None:
    """Clocks may differ, in either direction."""
    calendly.verify(BODY, header(at_seconds=NOW + seconds), (KEY,), NOW)


@pytest.mark.parametrize("seconds", [-181, 181])
def test_an_old_or_early_signature_is_refused(seconds: int) -> None:
    """A recorded request cannot be posted again later."""
    assert "clock" in refused(lambda: calendly.verify(BODY, header(at_seconds=NOW + seconds), (KEY,), NOW)).message


def test_a_booking() -> None:
    """A new booking says who comes, when, where, and how to move it; no first name is made up."""
    assert read(calendar_samples.calendly_created()) == MeetingEvent(
        what="booked",
        key=f"calendly:invitee.created:{calendar_samples.invitee_uri(calendar_samples.UID)}:{milliseconds(calendar_samples.POSTED)}",
        uid=calendar_samples.UID,
        at=milliseconds(calendar_samples.POSTED),
        starts=milliseconds(calendar_samples.START),
        contact={"email": calendar_samples.EMAIL, "name": "Jane Doe", "timezone": "America/Toronto"},
        values={
            "meeting_title": "First call",
            "meeting_place": "https://video.example.org/room",
            "reschedule_url": f"https://calendly.com/reschedulings/{calendar_samples.UID}",
        },
    )


def test_a_reschedule_is_a_cancellation_and_a_booking() -> None:
    """The booking names what it replaces, and the cancellation stands for itself, so that either may come first."""
    old, new = (
        read(calendar_samples.calendly_canceled("old", new_uid="new")),
        read(calendar_samples.calendly_created("new", old_uid="old")),
    )
    assert (old.what, old.uid, old.replaces) == ("cancelled", "old", None)
    assert (new.what, new.uid, new.replaces) == ("booked", "new", "old")


@pytest.mark.parametrize(
    ("posted", "what"),
    [
        (calendar_samples.calendly_canceled(), "cancelled"),
        (calendar_samples.calendly_no_show(), "no-show"),
        (calendar_samples.calendly_no_show_undone(), "no-show-undone"),
    ],
)
def test_an_event_about_a_booking(posted: dict[str, Any], what: str) -> None:
    """Each event names the meeting, its start and the invitee."""
    event = read(posted)
    assert (event.what, event.uid, event.starts, event.replaces) == (
        what,
        calendar_samples.UID,
        milliseconds(calendar_samples.START),
        None,
    )
    assert event.contact["email"] == calendar_samples.EMAIL


@pytest.mark.parametrize(
    "make",
    [calendar_samples.calendly_canceled, calendar_samples.calendly_no_show, calendar_samples.calendly_no_show_undone],
)
def test_an_event_about_a_booking_needs_no_start(make: Callable[[], dict[str, Any]]) -> None:
    """The booking already gave the start; an event without it still counts."""
    posted = make()
    posted["payload"]["scheduled_event"] = None
    assert read(posted).starts is None


def test_a_second_mark_is_another_event() -> None:
    """A mark has its own key, regardless of when and how often it is delivered."""
    later = "2026-12-04T09:00:00Z"
    first, again = (
        read(calendar_samples.calendly_no_show()).key,
        read(calendar_samples.calendly_no_show(posted=later)).key,
    )
    second = read(calendar_samples.calendly_no_show(mark="mark-2")).key
    assert first == again != second


@pytest.mark.parametrize("make", [calendar_samples.calendly_no_show, calendar_samples.calendly_no_show_undone])
def test_an_event_without_a_mark_is_keyed_by_its_time(make: Callable[..., dict[str, Any]]) -> None:
    """Where no mark is named, as with one undone, a redelivery has the same key and a later event does not."""
    keys = []
    for at in (calendar_samples.POSTED, calendar_samples.POSTED, "2026-12-04T09:00:00Z"):
        posted = make(posted=at)
        posted["payload"]["no_show"] = None
        keys.append(read(posted).key)
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("name", ["routing_form_submission.created", "invented.tomorrow", ""])
def test_irrelevant_events_are_ignored(name: str) -> None:
    """Other events are understood and ignored, regardless of their content."""
    assert calendly.events(json.dumps({"event": name}).encode()) == CalendarReport()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"uri": None}, "uri"),
        ({"uri": "https://api.calendly.com/users/5"}, "uri"),
        ({"email": "jane@nowhere"}, "email"),
        ({"email": "taro.@example.org"}, "email"),
        ({"email": '"jane doe"@example.org'}, "email"),
        ({"email": "jane@corp.local"}, "email"),
        ({"email": None}, "email"),
        ({"scheduled_event": None}, "scheduled_event"),
        ({"scheduled_event": {"start_time": "0000-01-01T00:00:00Z"}}, "scheduled_event.start_time"),
        ({"scheduled_event": {"start_time": "9999999-01-01T00:00:00Z"}}, "scheduled_event.start_time"),
    ],
)
def test_a_booking_without_a_required_field(change: dict[str, Any], field: str) -> None:
    """What could not be read is named, without its value."""
    posted = calendar_samples.calendly_created()
    posted["payload"] |= change
    found = calendly.events(calendar_samples.body(posted))
    assert found == CalendarReport(unread=(f"payload.{field} is not valid",))


def test_a_cancellation_needs_only_the_uri() -> None:
    """The reminders of a cancelled meeting must stop."""
    posted = calendar_samples.calendly_canceled()
    posted["payload"] = {"uri": posted["payload"]["uri"]}
    event = read(posted)
    assert (event.what, event.uid, event.contact) == ("cancelled", calendar_samples.UID, {})


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"7", b"null", b'"text"', b"[" * 100_000, b"1" * 5000, b"{"])
def test_a_body_that_is_not_a_json_object(body: bytes) -> None:
    """It cannot be read."""
    assert calendly.events(body).unread in (("the body is not a JSON object",), ("the body is not JSON in UTF-8",))


@pytest.mark.parametrize(
    ("location", "place"),
    [
        (None, None),
        ("here", None),
        ({"type": "zoom", "join_url": None, "location": None}, None),
        ({"type": "google_conference", "join_url": "javascript:alert(1)"}, None),
        ({"type": "physical", "location": "1 King St. W.,  Toronto"}, "1 King St. W., Toronto"),
        ({"type": "outbound_call", "location": "+1 555 0100"}, "+1 555 0100"),
        ({"type": "custom", "location": "https://meet.example.org/us"}, "https://meet.example.org/us"),
        *(
            ({"type": "ask_invitee", "location": words}, None)
            for words in (
                "https://bad.example.org/",
                "bad\u3002example/login",
                "b\u200bad.com",
                "bad .com",
                "me\uff20bad.example",
            )
        ),
        ({"type": "physical", "location": "https://bad.example.org/"}, None),
        ({"type": "ask_invitee", "location": "Caf\u00e9 St.Germain"}, "Caf\u00e9 St.Germain"),
        ({"type": 5, "location": {"deep": []}}, None),
    ],
)
def test_where_to_meet(location: Any, place: str | None) -> None:
    """The video link, else a place in words; a link of the invitee's own making is none."""
    posted = calendar_samples.calendly_created()
    posted["payload"]["scheduled_event"]["location"] = location
    assert read(posted).values.get("meeting_place") == place


def test_odd_extras_do_no_harm() -> None:
    """A name that advertises or holds control characters, and a link that is none, count as not given."""
    posted = calendar_samples.calendly_created()
    posted["payload"] |= {
        "name": "Win at www.bad.example.org",
        "first_name": "Ja\x00ne",
        "timezone": 5,
        "reschedule_url": "http://x",
    }
    posted["payload"] |= {"old_invitee": "nobody", "email": f" {calendar_samples.EMAIL.upper()} "}
    event = read(posted)
    assert (event.contact, event.replaces) == ({"email": calendar_samples.EMAIL}, None)
    assert "reschedule_url" not in event.values


@settings(deadline=None)
@given(
    st.sampled_from(
        ["invitee.created", "invitee.canceled", "invitee_no_show.created", "invitee_no_show.deleted", "other"]
    ),
    st.dictionaries(
        st.sampled_from(sorted(calendar_samples.calendly_created()["payload"])), calendar_samples.JUNK, max_size=4
    ),
    st.dictionaries(st.sampled_from(["start_time", "name", "location"]), calendar_samples.JUNK, max_size=2),
    calendar_samples.JUNK,
)
def test_no_json_breaks_the_reader(name: str, change: dict[str, Any], meeting: dict[str, Any], junk: Any) -> None:
    """For any values in the fields, an event that is found can be stored."""
    posted = calendar_samples.calendly_created() | {"event": name}
    posted["payload"]["scheduled_event"] |= meeting
    posted["payload"] |= change
    for value in (posted, junk, {"event": junk}, posted | {"payload": junk}, posted | {"created_at": junk}):
        found = calendly.events(json.dumps(value).encode())
        assert all(calendar_samples.storable(event) for event in found.events)
        assert "@" not in json.dumps(found.unread)
