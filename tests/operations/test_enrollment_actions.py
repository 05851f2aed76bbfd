"""EnrollmentActions: cancel, skip, send now, stop and start all sending, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.core.errors import ActionError, SendError
from shared.domain.timing import HOUR
from shared.ledger import ids
from shared.ledger.health import read_health
from shared.operations.enrollment_actions import EnrollmentActions
from tests.conftest import START
from tests.support.steered import GAPS, complete_without, dues, failed, live_at, sent_at, waiting
from tests.support.world import World


def test_a_cancelled_run_sends_nothing_more(world: World, actions: EnrollmentActions, run: str) -> None:
    """Neither from the schedule nor by a job that is on its way; it can be neither paused nor resumed."""
    world.clock.advance(hours=24)
    world.release()
    assert actions.cancel(run) == "cancelled"
    world.live(300)
    assert world.states(run) == ["sent"] + ["cancelled"] * 6
    assert waiting(world) == (0, 0)
    for refused in (actions.pause, actions.resume):
        with pytest.raises(ActionError, match="cancelled"):
            refused(run)


def test_a_paused_run_can_be_cancelled_and_frees_its_group(world: World, actions: EnrollmentActions, run: str) -> None:
    """While it is paused no other campaign of the group begins; afterwards one may."""
    actions.pause(run)
    contact = ids.digest("ada@example.org")
    assert world.redis.hget(ids.contact_key(contact), "group.nurture") == run
    actions.cancel(run)
    assert world.redis.hget(ids.contact_key(contact), "group.nurture") is None


def test_a_skipped_step_is_left_out(world: World, actions: EnrollmentActions, run: str) -> None:
    """The others go out at their times."""
    assert actions.skip(run, 2) == "active"
    world.live(300)
    assert sent_at(world, run) == [0, None, *GAPS[1:]]
    assert world.run(run).step(2).why == "skipped manually"


def test_a_step_of_a_paused_run_can_be_skipped(world: World, actions: EnrollmentActions, run: str) -> None:
    """The run stays paused and continues without it."""
    actions.pause(run)
    assert actions.skip(run, 2) == "paused"
    actions.resume(run)
    world.live(300)
    assert sent_at(world, run) == [0, None, *GAPS[1:]]


def test_skipping_every_remaining_step_completes_the_run(world: World, actions: EnrollmentActions, run: str) -> None:
    """The run ends with its last open step; a paused run, when it is resumed."""
    assert [actions.skip(run, number) for number in range(2, 8)] == ["active"] * 5 + ["completed"]
    other = world.sign_up(email="bo@example.org")
    actions.pause(other)
    assert [actions.skip(other, number) for number in range(1, 8)] == ["paused"] * 7
    assert actions.resume(other) == "completed"


def test_a_sent_step_cannot_be_skipped(world: World, actions: EnrollmentActions, run: str) -> None:
    """The error says why."""
    with pytest.raises(ActionError, match=f"step 1 of {run} is sent"):
        actions.skip(run, 1)


def test_send_now_sends_a_step_early_and_out_of_order(world: World, actions: EnrollmentActions, run: str) -> None:
    """Only that one; the earlier ones keep their times."""
    assert actions.send_now(run, 4) == "active"
    world.work()
    assert world.provider.email_ids == [f"{run}-1", f"{run}-4"]
    world.live(300)
    assert sent_at(world, run) == [0, 24, 72, 0, *GAPS[3:]]


def test_send_now_sends_a_late_step_without_shifting_the_run(
    world: World, actions: EnrollmentActions, run: str
) -> None:
    """The late policy does not apply to what a person asked for."""
    world.clock.advance(hours=24 + 20)
    actions.send_now(run, 2)
    world.work()
    assert sent_at(world, run)[:2] == [0, 44]
    assert dues(world, run)[2] == 72


def test_shifting_the_run_does_not_delay_send_now(world: World, actions: EnrollmentActions, run: str) -> None:
    """The late step moves the run; the other still goes out now."""
    world.clock.advance(hours=24 + 20)
    actions.send_now(run, 5)
    world.redis.delete(ids.QUEUE)
    assert world.sender.send(run, 2).result == "sent"
    assert world.sender.send(run, 5).result == "sent"
    assert dues(world, run)[2] == 92


def test_send_now_during_a_stop_goes_out_afterwards(world: World, actions: EnrollmentActions, run: str) -> None:
    """The gate is above everything."""
    actions.stop_sending()
    actions.send_now(run, 2)
    world.work()
    assert world.states(run)[1] == "scheduled"
    actions.start_sending()
    world.work()
    assert world.states(run)[1] == "sent"


def test_nothing_is_claimed_while_all_sending_is_stopped(world: World, actions: EnrollmentActions) -> None:
    """What was on the queue and was taken off it meanwhile goes out at the start as if nothing had been, without the
    sweeper."""
    actions.stop_sending("a typo in the second email")
    assert read_health(world.ledger).gate == "a typo in the second email"
    stopped = world.sign_up()
    world.work()
    assert not world.provider.accepted
    actions.start_sending()
    queued = world.sign_up(email="bo@example.org")
    actions.stop_sending()
    job = world.next_job()
    assert job and world.sender.send(*job).result == "parked"
    actions.start_sending()
    assert world.release() == 2
    world.work()
    assert sorted(world.provider.email_ids) == sorted([f"{stopped}-1", f"{queued}-1"])


def test_jobs_on_the_queue_when_sending_stops_stay_there(world: World, actions: EnrollmentActions, run: str) -> None:
    """Nothing is lost with it."""
    world.clock.advance(hours=24)
    world.release()
    actions.stop_sending()
    assert world.redis.llen(ids.QUEUE) == 1
    actions.start_sending()
    world.work()
    assert world.states(run)[1] == "sent"


def test_starting_also_opens_a_gate_the_provider_closed(world: World, actions: EnrollmentActions, run: str) -> None:
    """After a new key was set, you need not wait for the next try."""
    world.provider.faults.append(SendError("closed", "the key is refused"))
    live_at(world, START + 24 * HOUR)
    assert read_health(world.ledger).gate
    actions.start_sending()
    world.work()
    assert world.states(run)[1] == "sent"


@pytest.mark.parametrize("reason", ["bounced", "complained", "unsubscribed", "manual"])
def test_manual_actions_send_nothing_to_a_suppressed_contact(
    world: World, actions: EnrollmentActions, run: str, reason: str
) -> None:
    """Neither retry nor send-now works; the run has ended."""
    failed(world, run)
    world.ledger.suppress(ids.digest("ada@example.org"), reason)
    for refused in (actions.retry, actions.send_now):
        with pytest.raises(ActionError):
            refused(run, 2)
    world.live(300)
    assert world.provider.email_ids == [f"{run}-1"]


def test_a_completed_run_of_a_suppressed_contact_is_not_reopened(
    world: World, actions: EnrollmentActions, run: str
) -> None:
    """The suppression came after the run."""
    complete_without(world, run, 2)
    world.ledger.suppress(ids.digest("ada@example.org"), "complained")
    with pytest.raises(ActionError, match="the contact is suppressed: complained"):
        actions.retry(run, 2)


@pytest.mark.parametrize("decision", ["pause", "resume", "cancel", "skip", "send_now", "retry"])
def test_an_unknown_run_is_named(actions: EnrollmentActions, decision: str) -> None:
    """Each decision says in a sentence that it does not exist."""
    step = (2,) if decision in ("skip", "send_now", "retry") else ()
    decide: Callable[..., str] = getattr(actions, decision)
    with pytest.raises(ActionError, match="there is no"):
        decide("christmas-0-1", *step)


@pytest.mark.parametrize("decision", ["skip", "send_now", "retry"])
def test_an_unknown_step_is_named(actions: EnrollmentActions, run: str, decision: str) -> None:
    """Each decision says so."""
    decide: Callable[..., str] = getattr(actions, decision)
    with pytest.raises(ActionError, match=r"no such step|has no step 99"):
        decide(run, 99)
