"""Meetings: reminders that move and vanish with them, runs that a booking ends, and missed calls; events in any order,
once or often."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import pytest
from redis.exceptions import RedisError

from shared.domain.catalog import Catalog
from shared.domain.enrollments import Enrollment
from shared.domain.forms import CalendarReport, MeetingEvent
from shared.domain.timing import DAY, HOUR
from shared.intake import meetings
from shared.ledger import ids
from shared.ledger.answers import Enrolled
from shared.ledger.client import Ledger
from shared.ledger.contacts import Contacts
from shared.ledger.enroll_orders import Enroll
from shared.operations.privacy import export
from tests.conftest import Clock
from tests.support.world import ADA, SETTINGS, World

PERSON = {"email": "ada@example.org", "name": "Ada Lovelace", "first_name": "Ada", "timezone": "America/Vancouver"}
SAID = {
    "meeting_title": "Diagnostic call",
    "meeting_place": "https://meet.example.org/abc",
    "reschedule_url": "https://cal.com/reschedule/one",
}


@pytest.fixture
def world(ledger: Ledger, clock: Clock) -> World:
    """Mornings of a Thursday in December, before anything was booked."""
    clock.now = round(datetime(2026, 12, 10, 16, tzinfo=UTC).timestamp() * 1000)
    return World(ledger, clock)


def booked(world: World, uid: str = "one", *, days: float = 5, seconds: float = 0, **changes: object) -> MeetingEvent:
    """A booking that happened `seconds` from now, for `days` from now."""
    at = world.clock.now + round(seconds * 1000)
    event = MeetingEvent(
        "booked", f"calcom:booked:{uid}:{at}", uid, at, world.clock.now + round(days * DAY), contact=PERSON, values=SAID
    )
    return replace(event, **changes)  # type: ignore[arg-type]  # fields by name


def told(world: World, what: str, uid: str = "one", seconds: float = 0, email: str = PERSON["email"]) -> MeetingEvent:
    """Another event of the meeting."""
    at = world.clock.now + round(seconds * 1000)
    # one of four
    return MeetingEvent(what, f"calcom:{what}:{uid}:{at}", uid, at, contact={"email": email})  # type: ignore[arg-type]


def report(world: World, event: MeetingEvent) -> str:
    """Send it to the webhook."""
    return meetings.report(event, trigger="calcom-booking", intake=world.intake).what


def reminders(world: World, event: MeetingEvent) -> Enrollment | None:
    """The run of reminders of a booking."""
    return world.ledger.enrollment(f"{ids.enrollment_prefix('booking-reminder', f'{event.uid}:{event.starts}')}-1")


def recovery(world: World, uid: str = "one", run: int = 1) -> Enrollment | None:
    """The run of a missed meeting."""
    return world.ledger.enrollment(f"{ids.enrollment_prefix('noshow-recovery', uid)}-{run}")


def known(run: Enrollment | None) -> Enrollment:
    """A run that must be there."""
    assert run is not None
    return run


def subjects(world: World) -> list[str]:
    """What the provider accepted, in order."""
    return [request["subject"] for request in world.provider.accepted]


def due_steps(run: Enrollment | None) -> list[str]:
    """The states of a run's steps, or nothing."""
    return [step.state for step in run.steps] if run else []


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


BOB, CY = "bob@example.org", "cy@example.org"


def seat(
    world: World, email: str, uid: str = "slot", *, days: float = 5, seconds: float = 0, **changes: object
) -> MeetingEvent:
    """A seat that was booked; `listed=1` is that of an attendee who is not the first of the event."""
    return booked(
        world,
        uid,
        days=days,
        seconds=seconds,
        **{"key": f"{uid}:{email}:{seconds}", "seated": True, "contact": PERSON | {"email": email}} | changes,
    )


def given_back(
    world: World, email: str, uid: str = "slot", *, seconds: float = 60, seated: bool | None = True
) -> MeetingEvent:
    """A seat that was given back."""
    event = told(world, "cancelled", uid, seconds, email)
    return replace(event, key=f"{event.key}:{email}", seated=seated)


def marked(world: World, email: str, uid: str = "slot", *, what: str = "no-show", seconds: float = 90) -> MeetingEvent:
    """A mark of an attendee; Cal.com does not say whether the booking has seats."""
    event = told(world, what, uid, seconds, email)
    return replace(event, key=f"{event.key}:{email}", seated=None)


def runs_of(world: World, email: str, slug: str) -> list[Enrollment]:
    """A person's runs through a campaign, the oldest first."""
    names = cast(set[str], world.redis.smembers(f"eg:enrollments:{ids.digest(email)}"))
    runs = [known(world.ledger.enrollment(name)) for name in names if name.startswith(slug)]
    return sorted(runs, key=lambda run: (run.anchor, run.id))


def seat_runs(world: World, email: str) -> list[str]:
    """The states of a person's reminders, the oldest first."""
    return [run.state for run in runs_of(world, email, "booking-reminder")]


def recoveries(world: World, email: str) -> list[str]:
    """The states of the runs that ask a person to book again."""
    return [run.state for run in runs_of(world, email, "noshow-recovery")]


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
