"""Skip: what a person leaves out never leaves, also after it failed or ended in doubt; what was accepted is sent all
the same."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.errors import ActionError, SendError
from shared.domain.states import Outcome
from shared.intake.delivery_events import receive
from shared.integrations.resend_events import DeliveryEvent
from shared.ledger import ids
from shared.ledger.claims import Claimed
from shared.ledger.client import Ledger
from shared.ledger.listing import Listing
from shared.ledger.orders import Ending
from shared.operations.enrollment_actions import EnrollmentActions
from tests.conftest import Clock
from tests.support.steered import batch_in_doubt, complete_without, in_doubt, live_at
from tests.support.world import SETTINGS, World


def claimed(world: World, run: str, step: int) -> Claimed:
    """A worker holds the step, and has not posted it."""
    world.clock.now = world.run(run).step(step).due
    claim = world.ledger.claim(run, step, token="worker", late={}, rate=1000)
    assert isinstance(claim, Claimed)
    return claim


def may_leave(world: World, claim: Claimed) -> bool:
    """The worker's last look."""
    members = [item.id for item in claim.items]
    left = world.ledger.post(
        members, token="worker", request=members[0], body="{}", spare=11, turn=claim.turn, rate=1000
    )
    return left is not None


def proof(world: World, run: str, step: int, what: Any = "delivered", address: str = "ada@example.org") -> None:
    """Resend reports something that only an accepted email can have."""
    known: dict[str, Any] = {
        "at": world.clock.now,
        "address": address,
        "email_id": f"{run}-{step}",
        "provider_id": "id-late",
    }
    receive(DeliveryEvent(f"{run}-{step}-{what}", what, **known), world.ledger)


def test_a_step_in_doubt_can_be_skipped_for_good(world: World, actions: EnrollmentActions, run: str) -> None:
    """It says that it may have been sent, is off the lists that need attention, and its request is posted no
    more."""
    in_doubt(world, run)
    world.redis.zadd("rq:failed:send", {f"{run}-2-1": 1})
    assert actions.skip(run, 2) == "active"
    step = world.run(run).step(2)
    assert (step.state, step.why) == ("skipped", "skipped manually; it may have been sent")
    assert Listing(world.ledger).failures() == []
    assert world.redis.zcard("eg:doubts") == 0
    assert not world.redis.hexists(f"eg:frozen:{run}-2", "body")
    with pytest.raises(ActionError, match="the step is skipped"):
        actions.retry(run, 2, as_new=True)
    world.live(300)
    assert world.provider.email_ids.count(f"{run}-2") == 1
    assert world.run(run).state == "completed"


@pytest.mark.parametrize("what", ["accepted", "delivered", "opened", "bounced"])
def test_an_accepted_email_counts_as_sent_even_after_a_skip(
    world: World, actions: EnrollmentActions, run: str, what: str
) -> None:
    """The proof may come at any time."""
    in_doubt(world, run)
    actions.skip(run, 2)
    world.clock.advance(hours=100)
    proof(world, run, 2, what)
    step = world.run(run).step(2)
    assert (step.state, step.provider_id, step.why, step.posted) == ("sent", "id-late", None, None)


def test_a_skipped_retry_may_still_have_been_sent(world: World, actions: EnrollmentActions, run: str) -> None:
    """The first attempt may have arrived: the reason says so, and its proof counts."""
    in_doubt(world, run)
    actions.stop_sending()
    actions.retry(run, 2, as_new=True)
    actions.skip(run, 2)
    assert world.run(run).step(2).why == "skipped manually; it may have been sent"
    proof(world, run, 2)
    assert world.states(run)[1] == "sent"
    actions.start_sending()
    world.live(1)
    assert world.provider.email_ids.count(f"{run}-2") == 1


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_a_proof_of_the_first_attempt_counts_however_the_second_ended(
    world: World, actions: EnrollmentActions, run: str, end: str
) -> None:
    """Sent as new, and then refused, or its enrollment cancelled: the first email was accepted all the same."""
    in_doubt(world, run)
    if end == "failed":
        world.provider.faults.append(SendError("refused", "no such mailbox"))
        actions.retry(run, 2, as_new=True)
        world.work()
    else:
        actions.stop_sending()
        actions.retry(run, 2, as_new=True)
        actions.cancel(run)
    assert world.states(run)[1] == end
    proof(world, run, 2)
    assert world.states(run)[1] == "sent"


def test_a_failed_step_can_be_skipped(world: World, actions: EnrollmentActions, run: str) -> None:
    """It was certainly not sent, so the reason is only the skip; the run may have ended long ago."""
    complete_without(world, run, 2)
    world.redis.zadd("rq:failed:send", {f"{run}-2-1": 1})
    assert actions.skip(run, 2) == "completed"
    step = world.run(run).step(2)
    assert (step.state, step.why) == ("skipped", "skipped manually")
    assert world.redis.zcard("rq:failed:send") == 0


def test_a_skip_updates_the_log_in_notion(world: World, actions: EnrollmentActions, run: str) -> None:
    """Its row said In Doubt."""
    in_doubt(world, run)
    world.redis.delete(ids.OUTBOX)
    actions.skip(run, 2)
    assert f"email:{run}-2" in world.redis.zrange(ids.OUTBOX, 0, -1)


def test_a_claimed_step_is_not_sent_after_a_skip(world: World, actions: EnrollmentActions, run: str) -> None:
    """Once the skip is acknowledged, the worker's last look refuses it; the next email keeps its time."""
    claim = claimed(world, run, 2)
    assert actions.skip(run, 2) == "active"
    assert not may_leave(world, claim)
    assert not world.redis.hexists(ids.enrollment_key(run), "2.lease")
    world.live(300)
    assert world.states(run) == ["sent", "skipped", *["sent"] * 5]


def test_a_claimed_step_cancelled_on_the_schedule_is_not_sent(world: World, run: str) -> None:
    """Regardless of who skips it."""
    claim = claimed(world, run, 2)
    assert world.ledger.skip(run, 2, "cancelled on the schedule") == "skipped"
    assert not may_leave(world, claim)


def test_a_posted_email_continues(world: World, actions: EnrollmentActions, run: str) -> None:
    """It may have left: the skip is refused because it is sending, and its outcome counts."""
    claim = claimed(world, run, 2)
    assert may_leave(world, claim)
    with pytest.raises(ActionError, match="is sending"):
        actions.skip(run, 2)
    world.ledger.settle([f"{run}-2"], Ending(Outcome.ACCEPTED, ids=["id-1"]), token="worker")
    assert world.states(run)[1] == "sent"


def test_an_email_waiting_to_be_repeated_continues(world: World, actions: EnrollmentActions, run: str) -> None:
    """Its first attempt may have been accepted, and only its repetition tells."""
    world.provider.faults.append("lost")
    live_at(world, world.run(run).step(2).due)
    with pytest.raises(ActionError, match="is sending"):
        actions.skip(run, 2)
    world.live(1)
    assert (world.states(run)[1], world.provider.twice) == ("sent", [])


def test_a_late_policy_does_not_skip_a_step_in_doubt(world: World, run: str) -> None:
    """Only a person gives up what failed or is in doubt."""
    in_doubt(world, run)
    assert world.ledger.skip(run, 2, "late") == "in-doubt"


def test_one_email_of_a_batch_can_be_skipped(ledger: Ledger, clock: Clock) -> None:
    """The batch is then never repeated; proof for any of its emails counts for all, including the skipped one."""
    world = World(ledger, clock, SETTINGS.model_copy(update={"resend_batch_above": 1}))
    actions = EnrollmentActions(ledger, world.sender.catalog, world.settings)
    runs = batch_in_doubt(world)
    actions.skip(runs[0], 1)
    with pytest.raises(ActionError, match="sent as new"):
        actions.retry(runs[1], 1)
    proof(world, runs[2], 1, address="c@example.org")
    assert [world.run(run).step(1).state for run in runs] == ["sent"] * 3
