"""Pause and resume: what a pause holds, and where its end puts what is left."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.core.errors import ActionError
from shared.domain.catalog import Campaign, Catalog
from shared.domain.forms import MeetingEvent
from shared.domain.states import Outcome
from shared.domain.timing import DAY, HOUR
from shared.intake import meetings
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.orders import Ending
from shared.operations.enrollment_actions import EnrollmentActions
from tests.conftest import START, Clock
from tests.support.steered import GAPS, dues, live_at, sent_at, waiting
from tests.support.world import World


def test_a_paused_run_is_off_the_schedule_and_sends_nothing(world: World, actions: EnrollmentActions, run: str) -> None:
    """Its steps are neither on the schedule nor looked at, and nothing goes out however long it lasts."""
    assert waiting(world) == (6, 6)
    assert actions.pause(run) == "paused"
    assert waiting(world) == (0, 0)
    world.live(48)
    assert world.states(run) == ["sent"] + ["scheduled"] * 6


def test_a_job_already_on_the_queue_does_nothing_after_a_pause(world: World, actions: EnrollmentActions) -> None:
    """The pause counts at the claim, not at the release; the resumption looks at the step again."""
    run = world.sign_up()
    job = world.next_job()
    actions.pause(run)
    assert job and world.sender.send(*job).result == "parked"
    assert not world.provider.accepted
    actions.resume(run)
    world.work()
    assert world.states(run)[0] == "sent"


def test_a_step_claimed_before_a_pause_waits_if_it_was_not_sent(
    world: World, actions: EnrollmentActions, ledger: Ledger
) -> None:
    """A step that was claimed before the pause is sent, or waits until the run is resumed if it was certainly
    refused."""
    run = world.sign_up()
    ledger.claim(run, 1, token="worker", late={"christmas": DAY}, rate=1000)
    actions.pause(run)
    assert ledger.settle([f"{run}-1"], Ending(Outcome.WAITING, retry_after=10), token="worker")[0].state == "scheduled"
    world.live(1)
    assert not world.provider.accepted
    actions.resume(run)
    world.work()
    assert world.provider.email_ids == [f"{run}-1"]


def test_pausing_twice_is_one_pause(world: World, actions: EnrollmentActions, run: str) -> None:
    """It began with the first."""
    actions.pause(run)
    world.clock.advance(hours=5)
    assert actions.pause(run) == "paused"
    assert world.run(run).paused_at == START


def test_resuming_moves_the_remaining_steps_by_the_pauses_length(
    world: World, actions: EnrollmentActions, run: str
) -> None:
    """Every gap that was left stays as it was, and each email goes out at its new instant."""
    world.clock.advance(hours=10)
    actions.pause(run)
    world.clock.advance(hours=100)
    assert actions.resume(run) == "active"
    assert dues(world, run) == [0, *(hours + 100 for hours in GAPS)]
    world.live(300)
    assert sent_at(world, run) == [0, *(hours + 100 for hours in GAPS)]
    assert world.run(run).state == "completed"


def test_resuming_keeps_to_the_campaigns_hours(world: World) -> None:
    """What would be due at night is due in the morning, as it would have been without a pause."""
    data = {
        "slug": "office",
        "name": "Office",
        "trigger": "christmas-signup",
        "window": {"from": "09:00", "to": "17:00"},
    }
    steps = [{"number": number, "after": f"{24 * (number - 1)}h", "template": "none"} for number in (1, 2, 3)]
    office = Campaign.model_validate(data | {"steps": steps, "late": {"after": "12h", "policy": "send"}})
    world.sender = replace(world.sender, catalog=Catalog({"office": office}, {}))
    actions = EnrollmentActions(world.ledger, world.sender.catalog, world.settings)
    world.sign_up()
    run = f"{ids.enrollment_prefix('office', 'ada@example.org')}-1"
    assert dues(world, run) == [1, 25, 49]  # the test starts at 8:00
    actions.pause(run)
    world.clock.advance(hours=12)
    actions.resume(run)
    assert dues(world, run) == [25, 49, 73]
    actions.pause(run)
    world.clock.advance(hours=48)  # 20:00, the first one missed
    actions.resume(run, catch_up=True)
    assert [round(((step.next or 0) - START) / HOUR) for step in world.run(run).steps] == [73, 97, 121]


def test_catching_up_keeps_the_dates_and_sends_one_email_a_day(
    world: World, actions: EnrollmentActions, run: str
) -> None:
    """What was missed comes first, a day apart, unshifted though long past; what comes later keeps its date."""
    world.clock.advance(hours=1)
    actions.pause(run)
    world.clock.advance(hours=130)  # three are missed
    actions.resume(run, catch_up=True)
    world.live(200)
    assert dues(world, run) == [0, *GAPS]
    assert sent_at(world, run) == [0, 131, 155, 179, 203, 227, 264]


def test_catching_up_begins_a_day_after_the_last_email(world: World, actions: EnrollmentActions, run: str) -> None:
    """An email sent manually just before is the email of that day."""
    live_at(world, START + 24 * HOUR)
    live_at(world, START + 72 * HOUR)
    world.clock.now = START + 119 * HOUR
    actions.send_now(run, 7)
    world.work()
    actions.pause(run)
    world.clock.now = START + 121 * HOUR
    actions.resume(run, catch_up=True)
    world.live(30)
    assert sent_at(world, run)[3:] == [143, None, None, 119]


def test_a_later_plain_resume_ends_catching_up(world: World, actions: EnrollmentActions, run: str) -> None:
    """What was still to be caught up follows the campaign's own rule for late emails, not all at once."""
    actions.pause(run)
    world.clock.advance(hours=130)
    actions.resume(run, catch_up=True)
    world.work()
    actions.pause(run)
    world.clock.advance(hours=1)
    actions.resume(run)
    world.live(2)
    assert world.states(run).count("sent") == 3
    world.live(48)
    assert world.states(run).count("sent") == 4


def test_a_reminder_never_moves_and_is_skipped_when_its_time_has_passed(
    world: World, actions: EnrollmentActions, clock: Clock
) -> None:
    """A pause over the first of two reminders leaves the second where it was."""
    starts = clock.now + 5 * DAY
    event = MeetingEvent("booked", "k", "one", clock.now, starts, contact={"email": "ada@example.org"})
    meetings.report(event, trigger="calcom-booking", intake=world.intake)
    run = f"{ids.enrollment_prefix('booking-reminder', f'one:{starts}')}-1"
    actions.pause(run)
    clock.advance(hours=100)
    actions.resume(run)
    assert world.states(run) == ["skipped", "scheduled"]
    assert world.run(run).step(1).why == "its time passed while it was paused"
    assert world.run(run).anchor == starts
    world.live(24)
    assert world.run(run).step(2).sent_at == starts - HOUR
    assert world.run(run).state == "completed"


def test_catching_up_sends_no_reminder_late(world: World, actions: EnrollmentActions, clock: Clock) -> None:
    """One that comes to its turn only after its hour is skipped, as it would have been without a pause."""
    event = MeetingEvent("booked", "k", "one", clock.now, clock.now + 5 * DAY, contact={"email": "ada@example.org"})
    meetings.report(event, trigger="calcom-booking", intake=world.intake)
    run = f"{ids.enrollment_prefix('booking-reminder', f'one:{event.starts}')}-1"
    actions.pause(run)
    actions.resume(run, catch_up=True)
    actions.stop_sending()
    clock.advance(hours=5 * 24)
    actions.start_sending()
    world.work()
    assert world.states(run) == ["skipped", "skipped"]


def test_a_run_whose_reminders_are_all_past_completes(world: World, actions: EnrollmentActions, clock: Clock) -> None:
    """A resumption after the meeting leaves nothing to send."""
    event = MeetingEvent("booked", "k", "one", clock.now, clock.now + 2 * DAY, contact={"email": "ada@example.org"})
    meetings.report(event, trigger="calcom-booking", intake=world.intake)
    run = f"{ids.enrollment_prefix('booking-reminder', f'one:{event.starts}')}-1"
    actions.pause(run)
    clock.advance(hours=49)
    assert actions.resume(run) == "completed"
    assert world.states(run) == ["skipped", "skipped"]
    assert not world.provider.accepted


def test_send_now_goes_first_after_a_pause(world: World, actions: EnrollmentActions, run: str) -> None:
    """A send-now just before a pause is not forgotten, and does not move the others."""
    actions.send_now(run, 3)
    actions.pause(run)
    world.clock.advance(hours=10)
    actions.resume(run)
    world.work()
    assert world.provider.email_ids == [f"{run}-1", f"{run}-3"]
    assert dues(world, run)[1] == 34


def test_only_a_paused_run_can_be_resumed(world: World, actions: EnrollmentActions, run: str) -> None:
    """An active one is left alone, and the error says so."""
    with pytest.raises(ActionError, match=f"{run} is active, not paused"):
        actions.resume(run)


def test_a_clock_set_back_during_a_pause_moves_no_step_earlier(
    world: World, actions: EnrollmentActions, run: str
) -> None:
    """A pause never has a negative length: no step comes before its first date."""
    actions.pause(run)
    world.clock.advance(hours=-0.5)
    actions.resume(run)
    assert dues(world, run) == [0, *GAPS]


def test_catching_up_stays_one_email_a_day_after_a_stop(world: World, actions: EnrollmentActions, run: str) -> None:
    """All sending was stopped while two days' emails came due: still only one goes out today."""
    actions.pause(run)
    world.clock.advance(hours=130)
    actions.resume(run, catch_up=True)
    actions.stop_sending()
    world.clock.advance(hours=60)
    actions.start_sending()
    world.work()
    assert world.states(run).count("sent") == 2
    world.live(24)
    assert world.states(run).count("sent") == 3


def test_send_now_does_not_wait_for_the_next_day(world: World, actions: EnrollmentActions, run: str) -> None:
    """A person who catches up has had today's email: `send now` still sends another, and the rest stays one a
    day."""
    actions.pause(run)
    world.clock.advance(hours=130)
    actions.resume(run, catch_up=True)
    world.work()
    assert world.states(run).count("sent") == 2
    actions.send_now(run, 5)
    world.work()
    assert [step.state for step in world.run(run).steps][1:5] == ["sent", "scheduled", "scheduled", "sent"]
    world.live(23)
    assert world.states(run).count("sent") == 3
