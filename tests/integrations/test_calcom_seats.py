"""What Cal.com posts about several people or meetings at once, and what its older releases left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from shared.domain.forms import CalendarReport
from tests.support import calendar_samples
from tests.support.calcom_bodies import NOW, changed, people, read, report
from tests.support.calendar_samples import milliseconds


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
