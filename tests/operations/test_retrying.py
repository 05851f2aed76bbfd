"""Retry: what ended badly is tried again, without a second copy unless a person asks for it."""

from __future__ import annotations

import pytest

from shared.core.errors import ActionError, SendError
from shared.domain.states import Outcome
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.orders import Ending
from shared.operations.enrollment_actions import EnrollmentActions
from tests.conftest import Clock
from tests.support.steered import batch_in_doubt, complete_without, dues, failed, in_doubt, keys, live_at, sent_at
from tests.support.world import SETTINGS, World


def test_a_failed_step_is_sent_again_under_another_key(world: World, actions: EnrollmentActions, run: str) -> None:
    """The provider's memory of the first request must not answer for the second."""
    failed(world, run)
    assert actions.retry(run, 2) == "active"
    world.work()
    assert world.states(run)[1] == "sent"
    assert keys(world) == [f"{run}-1", f"{run}-2-r1"]


def test_a_late_retry_is_sent_now_and_shifts_nothing(world: World, actions: EnrollmentActions, run: str) -> None:
    """It is late because a person looked late."""
    failed(world, run)
    world.live(47)
    actions.retry(run, 2)
    world.work()
    assert sent_at(world, run)[1] == 71
    assert dues(world, run)[2] == 72


def test_a_step_in_doubt_is_repeated_while_the_provider_remembers(
    world: World, actions: EnrollmentActions, run: str
) -> None:
    """The same key and the same bytes: what was accepted is not accepted again, and the step is sent."""
    in_doubt(world, run)
    world.clock.advance(hours=22)
    assert actions.retry(run, 2) == "active"
    world.work()
    assert world.states(run)[1] == "sent"
    assert world.provider.email_ids == [f"{run}-1", f"{run}-2"]
    assert keys(world) == [f"{run}-1", f"{run}-2"]


def test_a_batch_in_doubt_is_repeated_as_the_same_batch(ledger: Ledger, clock: Clock) -> None:
    """Retrying one member repeats them all, in one request, and each arrives once."""
    world = World(ledger, clock, SETTINGS.model_copy(update={"resend_batch_above": 1}))
    actions = EnrollmentActions(ledger, world.sender.catalog, world.settings)
    runs = [world.sign_up(email=f"{name}@example.org") for name in ("a", "b", "c")]
    world.provider.faults.extend(["lost", SendError("conflict", "another body")])
    world.work()
    live_at(world, clock.now + 60_000)
    assert {world.run(run).step(1).state for run in runs} == {"in-doubt"}
    actions.retry(runs[1], 1)
    world.work()
    assert {world.run(run).step(1).state for run in runs} == {"sent"}
    assert world.provider.requests == [3, 3, 3]
    assert not world.provider.twice


def test_a_batch_with_a_cancelled_member_is_not_repeated(ledger: Ledger, clock: Clock) -> None:
    """It could only be repeated as a whole."""
    world = World(ledger, clock, SETTINGS.model_copy(update={"resend_batch_above": 1}))
    actions = EnrollmentActions(ledger, world.sender.catalog, world.settings)
    runs = [world.sign_up(email=f"{name}@example.org") for name in ("a", "b")]
    world.provider.faults.append(SendError("conflict", "another body"))
    world.work()
    actions.cancel(runs[0])
    with pytest.raises(ActionError, match="sent as new"):
        actions.retry(runs[1], 1)
    actions.retry(runs[1], 1, as_new=True)
    world.work()
    assert world.states(runs[1])[0] == "sent"


def test_after_the_window_resending_needs_confirmation(world: World, actions: EnrollmentActions, run: str) -> None:
    """Without confirmation it is refused; with it the email may arrive twice, and that is recorded."""
    in_doubt(world, run)
    world.clock.advance(hours=23)
    with pytest.raises(ActionError, match="say so if it shall be sent as new"):
        actions.retry(run, 2)
    assert world.states(run)[1] == "in-doubt"
    assert actions.retry(run, 2, as_new=True) == "active"
    world.work()
    assert world.states(run)[1] == "sent"
    assert world.provider.twice == [f"{run}-2"]
    assert world.redis.hmget(ids.enrollment_key(run), "2.anew", "2.retries") == ["1", "1"]


def test_a_retry_reopens_a_completed_run(world: World, actions: EnrollmentActions, run: str) -> None:
    """It holds its group until the email is out, and is kept like any open run."""
    complete_without(world, run, 2)
    contact = ids.contact_key(ids.digest("ada@example.org"))
    assert actions.retry(run, 2) == "active"
    assert world.redis.hget(contact, "group.nurture") == run
    assert world.redis.ttl(ids.enrollment_key(run)) == -1
    world.work()
    assert world.states(run) == ["sent"] * 7
    assert world.run(run).state == "completed"
    assert world.redis.hget(contact, "group.nurture") is None


def test_a_retry_does_not_reopen_a_run_beside_another_of_its_group(
    world: World, actions: EnrollmentActions, run: str
) -> None:
    """The person is in another campaign of the group by now."""
    complete_without(world, run, 2)
    another = world.sign_up(email="bo@example.org")
    world.redis.hset(ids.contact_key(ids.digest("ada@example.org")), "group.nurture", another)
    with pytest.raises(ActionError, match="another campaign of the same group"):
        actions.retry(run, 2)
    assert world.run(run).state == "completed"


def test_a_retry_takes_the_step_off_rqs_failed_list(world: World, actions: EnrollmentActions, run: str) -> None:
    """Regardless of which of its looks had raised: a person has looked at it now."""
    failed(world, run)
    looks = [f"{run}-2-{look}" for look in (1, 2, 3)]
    world.redis.hset(ids.enrollment_key(run), "2.look", 3)
    world.redis.zadd("rq:failed:send", {job: 1 for job in [*looks, f"{run}-3-1"]})
    actions.retry(run, 2)
    assert world.redis.zrange("rq:failed:send", 0, -1) == [f"{run}-3-1"]


def test_only_a_failed_or_doubtful_step_can_be_retried(world: World, actions: EnrollmentActions, run: str) -> None:
    """Neither a sent one nor a waiting one."""
    for step, state in ((1, "sent"), (2, "scheduled")):
        with pytest.raises(ActionError, match=f"the step is {state}"):
            actions.retry(run, step)


def test_after_a_conflict_it_can_be_sent_as_new_at_once(world: World, actions: EnrollmentActions, run: str) -> None:
    """The provider would answer the old request with the same conflict, so `anew` does not wait until it forgets."""
    in_doubt(world, run)
    actions.retry(run, 2, as_new=True)
    world.work()
    assert world.states(run)[1] == "sent"
    assert world.run(run).step(2).anew
    assert keys(world)[-1] == f"{run}-2-r1"


def test_a_late_answer_takes_a_step_off_the_failed_list(world: World, run: str) -> None:
    """A step that turned out to be sent needs no attention."""
    in_doubt(world, run)
    world.redis.zadd("rq:failed:send", {f"{run}-2-1": 1, f"{run}-2-2": 2})
    world.ledger.settle([f"{run}-2"], Ending(Outcome.ACCEPTED, ids=["id-9"]), token="late")
    assert world.redis.zcard("rq:failed:send") == 0


@pytest.fixture
def batches(ledger: Ledger, clock: Clock) -> World:
    """A world in which what is ready together goes together."""
    return World(ledger, clock, SETTINGS.model_copy(update={"resend_batch_above": 1}))


def deciding(world: World) -> EnrollmentActions:
    """The operator."""
    return EnrollmentActions(world.ledger, world.sender.catalog, world.settings)


def firsts(world: World, runs: list[str]) -> list[str]:
    """The states of the first emails."""
    return [world.run(run).step(1).state for run in runs]


class TestWholeBatch:
    """One decision for all emails in doubt of one request."""

    def test_all_can_be_sent_as_new_a_week_later(self, batches: World) -> None:
        """When the request itself was forgotten long ago; another batch in doubt stays as it is."""
        runs = batch_in_doubt(batches)
        others = [batches.sign_up(email=f"{name}@example.org") for name in ("x", "y")]
        batches.provider.faults.append(SendError("conflict", "another body"))
        batches.work()
        batches.redis.delete(*batches.redis.keys("eg:frozen:*"))
        batches.clock.advance(hours=7 * 24)
        actions = deciding(batches)
        assert sorted(actions.batch(runs[1], 1)) == sorted(f"{run}-1" for run in runs)
        assert actions.batch(runs[1], 1)[0] == f"{runs[1]}-1"
        assert actions.retry(runs[1], 1, as_new=True, whole_batch=True) == "active"
        batches.work()
        assert firsts(batches, runs) == ["sent"] * 3
        assert firsts(batches, others) == ["in-doubt"] * 2
        assert sorted(batches.provider.twice) == sorted(f"{run}-1" for run in runs)

    def test_a_batch_that_can_be_repeated_is_sent_unchanged(self, batches: World) -> None:
        """The first retry includes the others, which do not count as failures."""
        runs = batch_in_doubt(batches)
        deciding(batches).retry(runs[2], 1, whole_batch=True)
        batches.work()
        assert firsts(batches, runs) == ["sent"] * 3
        assert batches.provider.requests == [3, 3, 3]
        assert batches.provider.twice == []

    def test_emails_that_cannot_be_retried_are_listed_with_the_reason(self, batches: World) -> None:
        """The others are still sent."""
        runs = batch_in_doubt(batches)
        actions = deciding(batches)
        actions.cancel(runs[1])
        batches.ledger.suppress(ids.digest("c@example.org"), "complained")
        with pytest.raises(ActionError) as caught:
            actions.retry(runs[0], 1, as_new=True, whole_batch=True)
        said = str(caught.value)
        assert said.startswith("1 of 3 emails are being retried; these are not: ")
        assert f"{runs[1]}-1: the enrollment is cancelled" in said
        assert f"{runs[2]}-1: the enrollment is exited" in said
        batches.work()
        assert firsts(batches, runs) == ["sent", "in-doubt", "in-doubt"]

    def test_after_the_window_a_batch_needs_confirmation(self, batches: World) -> None:
        """The same rule applies as for a single email."""
        runs = batch_in_doubt(batches)
        batches.clock.advance(hours=23)
        with pytest.raises(ActionError, match=r"0 of 3 emails .* say so if it shall be sent as new"):
            deciding(batches).retry(runs[0], 1, whole_batch=True)
        assert firsts(batches, runs) == ["in-doubt"] * 3

    def test_an_email_sent_alone_is_its_own_batch(self, world: World, actions: EnrollmentActions, run: str) -> None:
        """An email that is not in doubt has no batch."""
        in_doubt(world, run)
        assert actions.batch(run, 2) == [f"{run}-2"]
        with pytest.raises(ActionError, match="the step is sent; only an email in doubt"):
            actions.retry(run, 1, whole_batch=True)
        actions.retry(run, 2, whole_batch=True, as_new=True)
        world.work()
        assert world.states(run)[1] == "sent"

    def test_settled_or_retried_emails_are_left_out_of_the_batch(self, batches: World) -> None:
        """Only what is still in doubt is counted and goes."""
        runs = batch_in_doubt(batches)
        actions = deciding(batches)
        actions.skip(runs[0], 1)
        actions.retry(runs[1], 1, as_new=True)
        batches.work()
        assert actions.batch(runs[2], 1) == [f"{runs[2]}-1"]
        actions.retry(runs[2], 1, as_new=True, whole_batch=True)
        batches.work()
        assert firsts(batches, runs) == ["skipped", "sent", "sent"]
