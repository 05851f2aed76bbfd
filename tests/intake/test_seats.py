"""Bookings with seats, where several bookers share one uid, and what is of one booker alone."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from redis.exceptions import RedisError

from shared.domain.forms import CalendarReport
from shared.domain.timing import DAY
from shared.intake import meetings
from shared.ledger import ids
from shared.ledger.answers import Enrolled
from shared.ledger.client import Ledger
from shared.ledger.contacts import Contacts
from shared.ledger.enroll_orders import Enroll
from shared.operations.privacy import export
from tests.conftest import Clock
from tests.support.meeting_reports import (
    BOB,
    CY,
    PERSON,
    booked,
    given_back,
    marked,
    morning,
    recoveries,
    report,
    seat,
    seat_runs,
    told,
)
from tests.support.world import World


@pytest.fixture
def world(ledger: Ledger, clock: Clock) -> World:
    return morning(ledger, clock)


class TestSeats:
    """Several bookers share one uid: what one does touches no other."""

    def test_each_booker_has_reminders_of_their_own(self, world: World) -> None:
        """And each gets both, with what is theirs."""
        for email in (BOB, CY, PERSON["email"]):
            assert report(world, seat(world, email)) == "enrolled"
        world.live(5 * 24 + 1)
        assert sorted(request["to"][0] for request in world.provider.accepted) == sorted(
            [BOB, BOB, CY, CY, PERSON["email"], PERSON["email"]]
        )

    @pytest.mark.parametrize("seated", [True, None])
    def test_a_seat_given_back_ends_only_its_own_reminders(self, world: World, seated: bool | None) -> None:
        """Also where the cancellation does not say that there are seats; then others may still book."""
        for email in (BOB, CY):
            report(world, seat(world, email))
        assert report(world, given_back(world, CY, seated=seated)) == "cancelled"
        assert (seat_runs(world, BOB), seat_runs(world, CY)) == (["active"], ["cancelled"])
        assert report(world, seat(world, PERSON["email"], seconds=70)) == "enrolled"

    def test_a_slot_that_the_host_cancels(self, world: World) -> None:
        """It names all; each one's reminders end."""
        for email in (BOB, CY):
            report(world, seat(world, email))
        for email in (BOB, CY):
            report(world, given_back(world, email))
        assert (seat_runs(world, BOB), seat_runs(world, CY)) == (["cancelled"], ["cancelled"])

    def test_a_seat_is_booked_again(self, world: World) -> None:
        """The same person on the same slot, after they gave it back: reminders again, once."""
        report(world, seat(world, BOB))
        report(world, given_back(world, BOB))
        again = seat(world, BOB, seconds=120)
        assert [report(world, again), report(world, replace(again, key="once more"))] == ["enrolled", "exists"]
        assert seat_runs(world, BOB) == ["cancelled", "active"]

    def test_any_order_of_one_persons_events_ends_the_same(self, world: World) -> None:
        """Booked, given back, booked again, beside another who stays."""
        for number, order in enumerate(itertools.permutations(range(3))):
            uid, email = f"slot-{number}", f"bob{number}@example.org"
            report(world, seat(world, CY, uid))
            events = [
                seat(world, email, uid),
                given_back(world, email, uid, seconds=10),
                seat(world, email, uid, seconds=20),
            ]
            for position in order:
                report(world, events[position])
            assert seat_runs(world, email).count("active") == 1, order
            assert report(world, given_back(world, email, uid, seconds=30)) == "cancelled"
            assert "active" not in seat_runs(world, email), order
        assert seat_runs(world, CY) == ["active"] * 6

    def test_a_seat_given_back_before_its_booking_arrives(self, world: World) -> None:
        """It gets no reminders; another's seat does."""
        report(world, given_back(world, BOB, seconds=10))
        assert report(world, seat(world, BOB)) == "ignored"
        assert report(world, seat(world, CY)) == "enrolled"

    @pytest.mark.parametrize("back", [False, True])
    def test_a_seat_moves_to_another_slot(self, world: World, back: bool) -> None:
        """And perhaps back; those who sit in either slot keep their reminders."""
        report(world, seat(world, BOB))
        report(world, seat(world, CY))
        report(world, seat(world, PERSON["email"], "later", days=6))
        assert report(world, seat(world, CY, "later", days=6, seconds=60, replaces="slot")) == "enrolled"
        assert seat_runs(world, CY) == ["cancelled", "active"]
        if back:
            assert report(world, seat(world, CY, "slot", days=5, seconds=120, replaces="later")) == "enrolled"
            assert seat_runs(world, CY).count("active") == 1
        assert (seat_runs(world, BOB), seat_runs(world, PERSON["email"])) == (["active"], ["active"])

    def test_any_order_of_moving_there_and_back_ends_the_same(self, world: World) -> None:
        """The latest event of a seat decides where it is."""
        for number, order in enumerate(itertools.permutations(range(3))):
            here, there, email = f"here-{number}", f"there-{number}", f"bob{number}@example.org"
            events = [
                seat(world, email, here),
                seat(world, email, there, days=6, seconds=10, replaces=here),
                seat(world, email, here, seconds=20, replaces=there),
            ]
            for position in order:
                report(world, events[position])
            left = [state for state in seat_runs(world, email) if state == "active"]
            open_at_there = world.redis.hget(f"eg:meeting:{ids.digest(f'{there}:{email}')}", "gone")
            assert (len(left), bool(open_at_there)) == (1, True), order

    def test_a_move_into_a_slot_touches_no_one_who_sits_there(self, world: World) -> None:
        """Cal.com names them after the one who moves: they keep the seat that they have in the old slot, too, and what
        they signed up for since."""
        report(world, seat(world, BOB, "monday"))
        report(world, seat(world, BOB, "wednesday", days=7))
        report(world, seat(world, CY, "monday"))
        run = world.sign_up(email=BOB)
        world.clock.advance(hours=1)
        moved = seat(world, CY, "wednesday", days=7 - 1 / 24, replaces="monday")
        assert report(world, moved) == "enrolled"
        assert report(world, replace(moved, contact=PERSON | {"email": BOB}, key="bob's", listed=1)) == "exists"
        assert seat_runs(world, BOB) == ["active", "active"]
        assert world.run(run).state == "active"

    @pytest.mark.parametrize("uid", ["slot", "another"])
    def test_the_host_moves_the_whole_slot(self, world: World, uid: str) -> None:
        """Under its own uid, or into another slot: all attendees get the new time."""
        for email in (BOB, CY):
            report(world, seat(world, email))
        for listed, email in enumerate((BOB, CY)):
            moved = seat(world, email, uid, days=8, seconds=60, listed=listed)
            assert report(world, replace(moved, replaces=None if uid == "slot" else "slot")) == "enrolled"
        assert (seat_runs(world, BOB), seat_runs(world, CY)) == (["cancelled", "active"], ["cancelled", "active"])

    def test_each_mark_counts_for_its_attendee(self, world: World) -> None:
        """Who booked a seat is asked to book again, a guest of the slot is not; undoing one mark touches no other."""
        for email in (BOB, CY):
            report(world, seat(world, email, days=1))
        marks = [marked(world, email) for email in ("guest@example.org", BOB, CY)]
        assert [report(world, mark) for mark in marks] == ["ignored", "enrolled", "enrolled"]
        assert [report(world, mark) for mark in marks] == ["duplicate"] * 3
        assert report(world, marked(world, BOB, what="no-show-undone", seconds=120)) == "cancelled"
        assert (recoveries(world, BOB), recoveries(world, CY)) == (["cancelled"], ["active"])
        assert recoveries(world, "guest@example.org") == []

    def test_a_new_seat_ends_only_its_own_bookers_recovery(self, world: World) -> None:
        """Both missed it; one books again."""
        for email in (BOB, CY):
            report(world, seat(world, email, days=1))
            report(world, marked(world, email))
        report(world, seat(world, BOB, "next", days=9, seconds=120))
        assert (recoveries(world, BOB), recoveries(world, CY)) == (["exited"], ["active"])

    def test_an_upgrade(self, world: World) -> None:
        """An earlier release kept one record for all seats, with the first booker's reminders and the last one's name:
        after the upgrade the first one's seat ends and moves alone, and begins nothing twice."""
        for uid in ("slot", "moved", "stays"):
            for email, outcome in ((BOB, "enrolled"), (CY, "exists")):
                assert report(world, seat(world, email, uid, seated=False, key=f"old {uid} {email}")) == outcome
            assert report(world, seat(world, CY, uid, seconds=20)) == "enrolled"
        assert report(world, seat(world, BOB, "stays", seconds=30)) == "exists"
        report(world, given_back(world, BOB))
        report(world, seat(world, BOB, "new", days=6, seconds=60, replaces="moved"))
        assert seat_runs(world, BOB).count("active") == 2, "the one that stays and the one that moved"
        assert seat_runs(world, CY) == ["active"] * 3

    def test_what_is_kept_of_a_seat_is_found_and_erased(self, world: World) -> None:
        """A seat, one given back before it was known, and the cancelled dates of a series; not those of another."""
        report(world, seat(world, BOB))
        report(world, given_back(world, BOB, "elsewhere"))
        report(world, replace(given_back(world, BOB, "series"), dates=(world.clock.now + DAY,)))
        report(world, seat(world, CY))
        people = Contacts(world.ledger)
        assert len(people.held(ids.digest(BOB)).meetings) == 3
        dates = (export(BOB, world.ledger) or {})["cancelled_meetings"]
        assert dates == {"2026-12-11T16:00:00.000+00:00": "2026-12-10T16:01:00.000+00:00"}
        people.forget(ids.digest(BOB))
        assert not people.held(ids.digest(BOB))
        assert not world.redis.exists(f"eg:cancelled:{ids.digest(BOB)}")
        assert seat_runs(world, CY) == ["active"]


class TestOneBooker:
    """Bookings without seats: the first attendee is the booker, and the booking is theirs alone."""

    @pytest.mark.parametrize("contact", [{}, {"email": BOB}])
    def test_a_cancellation_ends_it_regardless_of_whom_it_names(self, world: World, contact: dict[str, str]) -> None:
        """A missing address, or another one."""
        report(world, booked(world))
        assert report(world, replace(told(world, "cancelled"), contact=contact, seated=None)) == "cancelled"
        assert seat_runs(world, PERSON["email"]) == ["cancelled"]

    def test_a_guests_mark_says_nothing_about_the_booker(self, world: World) -> None:
        """Neither that they came, when it is taken back, nor that they did not."""
        report(world, booked(world, days=1))
        marks = [marked(world, "guest@example.org", "one"), marked(world, PERSON["email"], "one")]
        assert [report(world, mark) for mark in marks] == ["ignored", "enrolled"]
        undone = marked(world, "guest@example.org", "one", what="no-show-undone", seconds=120)
        assert report(world, undone) == "ignored"
        assert recoveries(world, PERSON["email"]) == ["active"]

    def test_each_mark_of_an_unknown_booking_counts(self, world: World) -> None:
        """Who booked it is not known; each one's mark is taken back alone."""
        for email in (BOB, CY):
            assert report(world, marked(world, email, "unheard-of")) == "enrolled"
        report(world, marked(world, BOB, "unheard-of", what="no-show-undone", seconds=120))
        assert (recoveries(world, BOB), recoveries(world, CY)) == (["cancelled"], ["active"])

    def test_a_mark_does_not_keep_a_cancellation_from_ending_the_booking(self, world: World) -> None:
        """A guest's mark comes first, then the booker's cancellation, and only then the booking."""
        report(world, marked(world, "guest@example.org", "one", seconds=60))
        report(world, replace(told(world, "cancelled", seconds=10), seated=None))
        assert report(world, booked(world)) == "ignored"


def test_what_is_left_of_a_delivery_is_done_when_it_comes_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash between two of its events: each attendee is enrolled once."""
    found = CalendarReport(tuple(seat(world, email, listed=listed) for listed, email in enumerate((BOB, CY))))
    enroll, calls = world.ledger.enroll, itertools.count()

    def crash_at_second(order: Enroll) -> Enrolled:
        if next(calls) == 1:
            raise RedisError("gone")
        return enroll(order)

    monkeypatch.setattr(world.ledger, "enroll", crash_at_second)
    how = {"calendar": "Cal.com", "trigger": "calcom-booking"}
    with pytest.raises(RedisError):
        meetings.report_all(found, intake=world.intake, **how)
    assert (seat_runs(world, BOB), seat_runs(world, CY)) == (["active"], [])
    assert [meetings.report_all(found, intake=world.intake, **how) for _ in range(2)] == ["enrolled", "duplicate"]
    assert (seat_runs(world, BOB), seat_runs(world, CY)) == (["active"], ["active"])
