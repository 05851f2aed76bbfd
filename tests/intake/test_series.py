"""Recurring series of meetings: one event cancels several."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from shared.domain.forms import MeetingEvent
from shared.domain.timing import DAY
from shared.ledger import ids
from shared.ledger.client import Ledger
from tests.conftest import Clock
from tests.support.meeting_reports import BOB, CY, PERSON, booked, morning, report, runs_of, seat_runs, told
from tests.support.world import World


@pytest.fixture
def world(ledger: Ledger, clock: Clock) -> World:
    return morning(ledger, clock)


class TestSeries:
    """A weekly series: each meeting has its own uid, one event cancels several."""

    def starts(self, world: World, week: int) -> int:
        """When the meeting of a week begins."""
        return world.clock.now + 3 * DAY + week * 7 * DAY

    def occurrence(self, world: World, week: int, email: str = BOB, **changes: object) -> MeetingEvent:
        """A booking of the series."""
        return replace(
            booked(world, f"week-{week}-{email}", key=f"week {week} of {email}", contact=PERSON | {"email": email}),
            starts=self.starts(world, week),
            **{"series": "41"} | changes,  # type: ignore[arg-type]  # fields by name
        )

    def cancel_all(self, world: World, *weeks: int, seconds: float = 60, **changes: object) -> MeetingEvent:
        """Cancelled are the meeting of the first week that is named and those of the others."""
        first = self.occurrence(world, weeks[0])
        event = replace(told(world, "cancelled", first.uid, seconds, BOB), starts=first.starts, seated=None)
        return replace(
            event,
            dates=tuple(self.starts(world, week) for week in weeks),
            **changes,  # type: ignore[arg-type]  # fields by name
        )

    def test_the_dates_that_it_names_end(self, world: World) -> None:
        """The others, another's, and those that had ended stay as they are."""
        for week in range(4):
            assert report(world, self.occurrence(world, week)) == "enrolled"
            report(world, self.occurrence(world, week, CY))
        assert report(world, self.cancel_all(world, 1, 2, 3)) == "cancelled"
        assert seat_runs(world, BOB) == ["active", "cancelled", "cancelled", "cancelled"]
        assert seat_runs(world, CY) == ["active"] * 4
        assert report(world, self.cancel_all(world, 0, 1)) == "cancelled"
        assert seat_runs(world, BOB) == ["cancelled"] * 4

    def test_one_that_was_held_stays_completed(self, world: World) -> None:
        """What was sent was sent."""
        starts = [self.starts(world, week) for week in range(2)]
        for week in range(2):
            report(world, self.occurrence(world, week))
        last = self.occurrence(world, 1).uid
        world.live(4 * 24)
        report(world, replace(told(world, "cancelled", last, 60, BOB), dates=tuple(starts)))
        assert seat_runs(world, BOB) == ["completed", "cancelled"]

    def test_any_order_ends_the_same(self, world: World) -> None:
        """A booking of the series that arrives only after its cancellation has no effect."""
        for order in itertools.permutations(range(3)):
            world.redis.flushdb()
            events = [self.occurrence(world, 0), self.occurrence(world, 1), self.cancel_all(world, 0, 1)]
            for position in order:
                report(world, events[position])
            assert "active" not in seat_runs(world, BOB), order

    @pytest.mark.parametrize("late", [False, True])
    def test_a_booking_made_after_it_counts(self, world: World, late: bool) -> None:
        """For the same time, whichever arrives first."""
        report(world, self.occurrence(world, 0))
        again = replace(self.occurrence(world, 1), uid="again", key="again", at=world.clock.now + 120_000)
        events = [again, self.cancel_all(world, 0, 1)]
        for event in events if late else events[::-1]:
            report(world, event)
        assert seat_runs(world, BOB) == ["cancelled", "active"]

    def test_without_dates_all_that_remains_ends(self, world: World) -> None:
        """Of that series, from that instant on; bookings of it that arrive later have no effect, new ones have."""
        for week in range(2):
            report(world, self.occurrence(world, week))
        alone = replace(self.occurrence(world, 1, series=None), uid="alone", key="alone")
        other = replace(self.occurrence(world, 2, series="7"), uid="other", key="other")
        for event in (alone, other):
            report(world, event)
        assert report(world, replace(self.cancel_all(world, 0), dates=(), series="41")) == "cancelled"
        assert report(world, self.occurrence(world, 3)) == "ignored"
        assert sorted(seat_runs(world, BOB)) == ["active", "active", "cancelled", "cancelled"]
        assert report(world, self.occurrence(world, 4, at=world.clock.now + 120_000)) == "enrolled"

    def test_the_address_may_be_missing(self, world: World) -> None:
        """The meeting that it names says whose series it is."""
        for week in range(2):
            report(world, self.occurrence(world, week))
        report(world, self.cancel_all(world, 0, 1, contact={}))
        assert seat_runs(world, BOB) == ["cancelled", "cancelled"]

    def test_an_upgrade(self, world: World) -> None:
        """An earlier release did not note to which meeting reminders belong; they end all the same."""
        for week in range(2):
            report(world, self.occurrence(world, week, series=None))
        for run in runs_of(world, BOB, "booking-reminder"):
            world.redis.hdel(ids.enrollment_key(run.id), "meeting")
        report(world, self.cancel_all(world, 0, 1))
        assert seat_runs(world, BOB) == ["cancelled", "cancelled"]

    def test_the_dates_are_kept_only_while_they_matter(self, world: World) -> None:
        """Like the meeting: 30 days past its start."""
        report(world, self.cancel_all(world, 0, 1))
        assert 29 * DAY < world.redis.pttl(f"eg:cancelled:{ids.digest(BOB)}") <= 34 * DAY
