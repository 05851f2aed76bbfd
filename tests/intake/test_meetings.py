"""Meetings: reminders that move and vanish with them, runs that a booking ends, and missed calls; events in any order,
once or often."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.domain.catalog import Catalog
from shared.domain.enrollments import Enrollment
from shared.domain.forms import MeetingEvent
from shared.domain.timing import DAY, HOUR
from shared.ledger import ids
from shared.ledger.client import Ledger
from tests.conftest import Clock
from tests.support.meeting_reports import (
    PERSON,
    booked,
    due_steps,
    known,
    morning,
    recovery,
    reminders,
    report,
    subjects,
    told,
)
from tests.support.world import ADA, SETTINGS, World


@pytest.fixture
def world(ledger: Ledger, clock: Clock) -> World:
    return morning(ledger, clock)


def test_reminders_go_out_a_day_and_an_hour_before_the_meeting(world: World) -> None:
    """Both reminders go out at their instants, and say the time where the attendee lives."""
    event = booked(world)
    assert report(world, event) == "enrolled"
    run = reminders(world, event)
    assert run is not None and event.starts is not None
    assert [event.starts - step.due for step in run.steps] == [24 * HOUR, HOUR]
    world.live(5 * 24 + 1)
    assert len(world.provider.accepted) == 2
    text = world.provider.accepted[0]["text"]
    assert "Tuesday, December 15" in text and "8:00 AM PST" in text
    assert "https://cal.com/reschedule/one" in text
    assert "headers" not in world.provider.accepted[0], "a reminder has no unsubscribe header"


@pytest.mark.parametrize(
    ("zone", "spoken"),
    [("America/Toronto", "9:00 AM EDT"), ("Europe/Berlin", "2:00 PM CET"), ("Asia/Dubai", "5:00 PM UTC+04")],
)
def test_the_clock_changes_between_booking_and_meeting(world: World, zone: str, spoken: str) -> None:
    """Summer time counts as it will be on the day of the meeting."""
    starts = round(
        datetime(2027, 3, 15, 13, tzinfo=UTC).timestamp() * 1000
    )  # Toronto's clocks change on the 14th, Berlin's on the 28th
    event = booked(world, starts=starts, contact=PERSON | {"timezone": zone})
    report(world, event)
    world.clock.now = starts - 24 * HOUR
    world.work()
    assert spoken in world.provider.accepted[0]["text"]
    assert "Monday, March 15" in world.provider.accepted[0]["text"]


def test_a_past_reminder_is_skipped(world: World) -> None:
    """A meeting in three hours gets only the reminder an hour before."""
    event = booked(world, days=3 / 24)
    report(world, event)
    run = reminders(world, event)
    assert due_steps(run) == ["skipped", "scheduled"]
    assert run is not None and run.steps[0].why == "its time had passed when the meeting was booked"
    world.live(3)
    assert len(world.provider.accepted) == 1


def test_a_reminder_after_the_meeting_is_not_sent(world: World) -> None:
    """After an outage no one is reminded of a meeting that is over."""
    report(world, booked(world, days=2))
    world.clock.advance(hours=72)
    world.work()
    assert world.provider.accepted == []


def test_moving_a_meeting_moves_its_reminders(world: World) -> None:
    """The old reminders are dropped and the new ones count from the new start."""
    old, new = booked(world), booked(world, "two", days=7, seconds=60, replaces="one")
    report(world, old)
    assert report(world, new) == "enrolled"
    assert due_steps(reminders(world, old)) == ["cancelled", "cancelled"]
    assert due_steps(reminders(world, new)) == ["scheduled", "scheduled"]


def test_a_meeting_that_keeps_its_uid_can_move_too(world: World) -> None:
    """A calendar that keeps the uid moves the reminders, too."""
    old, new = booked(world), booked(world, days=7, seconds=60)
    report(world, old)
    report(world, new)
    assert due_steps(reminders(world, old)) == ["cancelled", "cancelled"]
    assert due_steps(reminders(world, new)) == ["scheduled", "scheduled"]
    assert report(world, replace(old, key="again")) == "ignored", "an older event that arrives late changes nothing"
    assert due_steps(reminders(world, new)) == ["scheduled", "scheduled"]


@pytest.mark.parametrize("first", [0, 1])
def test_two_bookings_of_the_same_millisecond(world: World, first: int) -> None:
    """The later meeting counts, whichever booking arrives first, or once more."""
    events = [booked(world, days=9, key="earlier"), booked(world, days=10, key="later")]
    for event in (events[first], events[1 - first]):
        report(world, event)
    assert report(world, replace(events[0], key="again")) == "ignored"
    assert due_steps(reminders(world, events[0])) in ([], ["cancelled", "cancelled"])
    assert due_steps(reminders(world, events[1])) == ["scheduled", "scheduled"]


def test_any_order_of_booking_moving_and_cancelling_ends_the_same(world: World) -> None:
    """In any order of the four events, only the meeting that remains in the end gets reminders."""
    for number, order in enumerate(itertools.permutations(range(4))):
        one, two, three = (f"{name}-{number}" for name in ("one", "two", "three"))
        events = [
            booked(world, one),
            booked(world, two, days=6, seconds=10, replaces=one),
            told(world, "cancelled", two, seconds=20),
            booked(world, three, days=7, seconds=30),
        ]
        for position in order:
            report(world, events[position])
        open_runs = [
            event.uid
            for event in (events[0], events[1], events[3])
            if "scheduled" in due_steps(reminders(world, event))
        ]
        assert open_runs == [three], order


def test_a_cancellation_before_its_booking_leaves_a_tombstone(world: World) -> None:
    """A meeting that was cancelled before we heard of it gets no reminders, and the tombstone goes at most 30 days
    after the meeting."""
    event = booked(world)
    assert report(world, told(world, "cancelled")) == "cancelled"
    assert report(world, event) == "ignored"
    assert reminders(world, event) is None
    left = world.redis.pttl(f"eg:meeting:{ids.digest('one')}")
    assert 29 * DAY < left <= 36 * DAY


def test_the_same_delivery_twice_has_one_effect(world: World) -> None:
    """Each kind of event, delivered again, changes nothing."""
    events = [
        booked(world),
        told(world, "no-show", seconds=60),
        told(world, "no-show-undone", seconds=120),
        told(world, "cancelled", seconds=180),
    ]
    for event in events:
        assert report(world, event) != "duplicate"
        before = world.redis.dbsize()
        assert report(world, event) == "duplicate"
        assert world.redis.dbsize() == before


def test_a_booking_ends_a_nurture_campaign_that_lists_it(world: World) -> None:
    """People who have booked get no more emails that ask for a booking."""
    run = world.sign_up()
    world.work()
    world.clock.advance(hours=1)
    report(world, booked(world))
    assert (world.run(run).state, world.run(run).why) == ("exited", "booked")
    assert set(world.states(run)[1:]) == {"cancelled"}
    assert world.redis.hget("eg:tally:christmas", "1.booked") == "1", "it was the first email that led to the booking"
    world.live(12 * 24)
    assert len([subject for subject in subjects(world) if "assessment" in subject]) == 1


def test_an_older_booking_does_not_end_a_later_run(world: World) -> None:
    """A booking that arrives late is older than the run, and does not affect it."""
    event = booked(world)
    world.clock.advance(hours=2)
    run = world.sign_up()
    report(world, event)
    assert world.run(run).state == "active"


@pytest.mark.parametrize(("behind", "state"), [(5, "exited"), (59, "exited"), (61, "active")])
def test_a_calendars_clock_may_be_a_minute_behind(world: World, behind: int, state: str) -> None:
    """A person signs up and books at once: by the calendar's clock the booking came first, and it still ends the
    enrollment."""
    run = world.sign_up()
    report(world, booked(world, seconds=-behind))
    assert world.run(run).state == state


def test_a_person_who_missed_the_call_is_asked_to_book_again(world: World) -> None:
    """Three emails, which stop as soon as there is a new booking."""
    report(world, booked(world, days=1))
    world.clock.advance(hours=25)
    assert report(world, told(world, "no-show")) == "enrolled"
    world.live(2)
    run = recovery(world)
    assert due_steps(run) == ["sent", "scheduled", "scheduled"]
    assert run is not None and run.steps[0].sent_at == run.anchor + 15 * 60_000
    report(world, booked(world, "two"))
    assert (recovery(world) or run).state == "exited"


def test_an_undone_no_show_ends_the_recovery_and_a_new_one_restarts_it(world: World) -> None:
    """Each marking is a run of its own; a late older event changes nothing."""
    report(world, booked(world, days=1))
    first, undone, second = (
        told(world, "no-show", seconds=1),
        told(world, "no-show-undone", seconds=2),
        told(world, "no-show", seconds=3),
    )
    report(world, first)
    assert report(world, undone) == "cancelled"
    assert due_steps(recovery(world)) == ["cancelled"] * 3
    assert report(world, second) == "enrolled"
    assert due_steps(recovery(world, run=2)) == ["scheduled"] * 3
    assert report(world, told(world, "no-show-undone", seconds=2.5)) == "ignored"


def test_a_no_show_undone_before_it_arrives_starts_nothing(world: World) -> None:
    """The two events in the wrong order end as they would in the right one."""
    report(world, booked(world, days=1))
    marked, undone = told(world, "no-show", seconds=1), told(world, "no-show-undone", seconds=2)
    report(world, undone)
    assert report(world, marked) == "ignored"
    assert recovery(world) is None


def test_a_guest_who_missed_the_meeting_gets_no_email(world: World) -> None:
    """Only the booker of a meeting that we know is asked to book again."""
    report(world, booked(world, days=1))
    assert report(world, told(world, "no-show", email="guest@example.org")) == "ignored"
    assert recovery(world) is None


def test_a_no_show_for_an_unknown_meeting_counts(world: World) -> None:
    """Meetings that were booked before Evergreen ran have no-shows too."""
    assert report(world, told(world, "no-show", "unheard-of")) == "enrolled"
    assert due_steps(recovery(world, "unheard-of")) == ["scheduled"] * 3


def test_in_testing_mode_the_meeting_is_three_steps_ahead(ledger: Ledger, clock: Clock) -> None:
    """The reminders come two steps and one step before it."""
    world = World(ledger, clock, SETTINGS.model_copy(update={"testing_mode": True, "testing_step": 5.0}))
    event = booked(world)
    report(world, event)
    run = reminders(world, event)
    assert run is not None
    assert [step.due - clock.now for step in run.steps] == [5_000, 10_000]
    assert run.anchor - clock.now == 15_000


def test_reminders_go_before_nurture_emails(world: World) -> None:
    """With a hundred marketing emails waiting, the reminder that falls due is the next to go."""
    for number in range(20):
        world.sign_up(email=f"person{number}@example.org")
    event = booked(world, days=25 / 24)
    report(world, event)
    world.clock.advance(hours=1)
    world.release()
    job = world.next_job()
    assert job and job[0].startswith("booking-reminder-")


def test_an_unsubscribed_booker_still_gets_reminders(world: World) -> None:
    """An unsubscribed person still wants to know when the meeting is; a bounced address gets nothing."""
    world.ledger.suppress(ids.digest(PERSON["email"]), "unsubscribed")
    event = booked(world)
    report(world, event)
    assert due_steps(reminders(world, event)) == ["scheduled", "scheduled"]
    world.ledger.suppress(ids.digest(PERSON["email"]), "bounced")
    assert due_steps(reminders(world, event)) == ["cancelled", "cancelled"]


def test_a_bookings_contact_data_is_merged(world: World) -> None:
    """What a calendar knows about the person is merged with the form."""
    world.sign_up(first_name="")
    report(world, booked(world))
    contact = world.ledger.contact(ids.digest(str(ADA["email"])))
    assert contact is not None
    assert (contact.fields["name"], contact.fields["timezone"], contact.fields["red_systems"]) == (
        "Ada Lovelace",
        "America/Vancouver",
        "2",
    )


@pytest.mark.parametrize(
    ("name", "greeting"), [("Grace Hopper", "Hi Grace,"), ("Dr. Hopper", "Hi there,"), ("", "Hi there,")]
)
def test_a_full_name_alone_is_greeted_by_its_first_word(world: World, name: str, greeting: str) -> None:
    """A person with a single name field is greeted by the first name; a title is not a name."""
    world.sign_up(first_name="", name=name)
    world.work()
    assert world.provider.accepted[0]["text"].startswith(greeting)


class TestGroup:
    """Campaigns of meetings that share a group with others: one that blocks a meeting's own enrollment does not belong
    to the meeting."""

    @pytest.fixture
    def world(self, world: World) -> World:
        """A booking ends nothing, and its two campaigns are of the group of Christmas."""
        campaigns = {
            slug: one.model_copy(update={"exit_on": []}) for slug, one in world.sender.catalog.campaigns.items()
        }
        for slug in ("booking-reminder", "noshow-recovery"):
            campaigns[slug] = campaigns[slug].model_copy(update={"group": "nurture"})
        world.sender = replace(world.sender, catalog=Catalog(campaigns, world.sender.catalog.sources))
        return world

    @pytest.fixture
    def course(self, world: World) -> str:
        """Ada's Christmas enrollment, which holds the group."""
        run = world.sign_up()
        world.work()
        return run

    @pytest.mark.parametrize("end", ["cancelled", "moved", "renamed"])
    def test_the_end_of_a_blocked_meeting_ends_nothing_else(self, world: World, course: str, end: str) -> None:
        """Cancelled, moved under its own name, or moved to another: the Christmas run continues."""
        assert report(world, booked(world)) == "blocked"
        after = {
            "cancelled": told(world, "cancelled", seconds=60),
            "moved": booked(world, days=8, seconds=60),
            "renamed": booked(world, "two", days=8, seconds=60, replaces="one"),
        }
        report(world, after[end])
        assert (world.run(course).state, world.run(course).why) == ("active", None)
        assert world.states(course)[1:] == ["scheduled"] * 6

    def test_undoing_a_blocked_recovery_affects_nothing_else(self, world: World, course: str) -> None:
        """Missed, undone, missed again, and cancelled: none of it affects Christmas."""
        for seconds, what in enumerate(["no-show", "no-show-undone", "no-show", "no-show-undone", "cancelled"]):
            report(world, told(world, what, seconds=seconds))
        assert world.run(course).state == "active"

    def test_cancelling_a_bounced_persons_meeting_ends_nothing(self, world: World) -> None:
        """A meeting of a person whose address bounced is only tracked; its cancellation ends nothing."""
        world.ledger.suppress(ids.digest(PERSON["email"]), "bounced")
        assert report(world, booked(world)) == "tracked"
        assert "run" not in world.redis.hgetall(f"eg:meeting:{ids.digest('one')}")
        assert report(world, told(world, "cancelled", seconds=60)) == "cancelled"

    def test_each_of_two_meetings_ends_only_its_own_reminders(self, world: World) -> None:
        """The first blocks the second: cancelling the second leaves the first its reminders, cancelling the first drops
        them."""
        first, second = booked(world, "first"), booked(world, "second", days=6)
        assert (report(world, first), report(world, second)) == ("enrolled", "blocked")
        report(world, told(world, "cancelled", "second", seconds=60))
        assert due_steps(reminders(world, first)) == ["scheduled", "scheduled"]
        report(world, told(world, "cancelled", "first", seconds=120))
        assert due_steps(reminders(world, first)) == ["cancelled", "cancelled"]
        assert report(world, booked(world, "third", seconds=180)) == "enrolled", "the group is free again"

    def test_cancelling_a_meeting_blocked_by_a_move_spares_the_other(self, world: World) -> None:
        """What it began before is over; the other meeting, which took the group meanwhile, keeps its reminders."""
        first, second = booked(world, "first"), booked(world, "second", days=6)
        report(world, first)
        world.ledger.cancel(known(reminders(world, first)).id, "by hand")
        assert report(world, second) == "enrolled"
        assert report(world, booked(world, "first", days=9, seconds=60)) == "blocked"
        report(world, told(world, "cancelled", "first", seconds=120))
        assert due_steps(reminders(world, second)) == ["scheduled", "scheduled"]


class TestRepeatedEvents:
    """One enrollment for an event, however it ended: only the calendar can take the event back and give it again."""

    @staticmethod
    def deliver(world: World, event: MeetingEvent) -> str:
        """Send it to the webhook once more, when the first delivery is forgotten."""
        for key in world.redis.scan_iter("eg:seen:*"):
            world.redis.delete(key)
        return report(world, event)

    @staticmethod
    def by_hand(world: World, run: Enrollment | None) -> None:
        """The operator ends an enrollment."""
        assert world.ledger.cancel(known(run).id, "by hand") == "cancelled"

    def test_reminders_cancelled_manually_stay_cancelled(self, world: World) -> None:
        """The calendar sends it again after eight days: there are no reminders."""
        event = booked(world, days=20)
        report(world, event)
        self.by_hand(world, reminders(world, event))
        world.clock.advance(hours=24 * 8)
        assert self.deliver(world, event) == "exists"
        world.live(24 * 13)
        assert world.provider.accepted == []

    def test_a_no_show_with_all_emails_sent_sends_none_again(self, world: World) -> None:
        """Even if a separate event reports it a second time, without an undo."""
        report(world, told(world, "no-show"))
        world.live(73)
        assert due_steps(recovery(world)) == ["sent"] * 3
        assert report(world, told(world, "no-show")) == "exists"
        world.live(73)
        assert len(world.provider.accepted) == 3

    def test_a_no_show_ended_by_a_booking_does_not_restart(self, world: World) -> None:
        """A person who has booked since is not asked to."""
        report(world, told(world, "no-show"))
        report(world, booked(world, "next", seconds=60))
        assert due_steps(recovery(world)) == ["cancelled"] * 3
        assert report(world, told(world, "no-show", seconds=120)) == "exists"

    @pytest.mark.parametrize("ended", [False, True])
    def test_a_meeting_moved_back_to_its_old_time_gets_reminders_again(self, world: World, ended: bool) -> None:
        """Moved to another time and back under one name, also after the operator ended its reminders; each start stays
        one event."""
        there, away, back = booked(world), booked(world, days=9, seconds=1), booked(world, seconds=2)
        report(world, there)
        if ended:
            self.by_hand(world, reminders(world, there))
        assert [report(world, away), report(world, back)] == ["enrolled", "enrolled"]
        again = world.ledger.enrollment(f"{ids.enrollment_prefix('booking-reminder', f'one:{back.starts}')}-2")
        assert due_steps(reminders(world, away)) == ["cancelled", "cancelled"]
        assert due_steps(again) == ["scheduled", "scheduled"]
        self.by_hand(world, again)
        assert [self.deliver(world, event) for event in (there, away, back)] == ["ignored", "ignored", "exists"]
        assert report(world, booked(world, days=9, seconds=3)) == "enrolled", "and the other start as well"

    def test_a_distant_meeting_can_move_back_months_later(self, world: World) -> None:
        """Its first reminders, long over, are forgotten by then; that the calendar took them back is not."""
        report(world, event := booked(world, days=200))
        report(world, booked(world, days=210, seconds=1))
        world.clock.advance(hours=24 * 120)
        world.redis.delete(ids.enrollment_key(known(reminders(world, event)).id))  # as it would expire
        assert report(world, booked(world, starts=event.starts)) == "enrolled"

    def test_a_late_undo_starts_nothing(self, world: World) -> None:
        """Only what came after the latest mark takes it back: the mark, delivered again, is the same one."""
        undone, marked = told(world, "no-show-undone", seconds=1), told(world, "no-show", seconds=2)
        report(world, marked)
        assert report(world, undone) == "ignored"
        self.by_hand(world, recovery(world))
        assert [self.deliver(world, marked), report(world, told(world, "no-show", seconds=3))] == ["ignored", "exists"]
