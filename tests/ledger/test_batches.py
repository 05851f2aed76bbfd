"""What may go along in another email's request, and what must go alone, regardless of which email leads the batch."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from shared.core.errors import RenderingError, SendError
from shared.domain.catalog import Catalog
from shared.ledger import ids
from shared.ledger.claims import Claimed
from shared.operations.enrollment_actions import EnrollmentActions
from shared.sending import sender as sending
from shared.sending.composing import compose
from tests.support.batches import batching, crowd, last_first
from tests.support.world import World

HOUR = 3_600_000
REFUSED = SendError("refused", "Resend answered 422")
CONFLICT = SendError("conflict", "another body")
CLOSED = SendError("closed", "Resend answered 401")
SPENT = SendError("quota", "Resend answered 429 daily_quota_exceeded", 3600)


@pytest.fixture
def many(world: World) -> World:
    """A world in which everything goes in batches."""
    return batching(world)


def lead(world: World, name: str = "leader") -> str:
    """A person signs up whose job is the next one, with all that waits behind it."""
    world.release()
    run = world.sign_up(email=f"{name}@example.org")
    last_first(world)
    return run


def with_policy(world: World, policy: str) -> None:
    """Christmas with this late policy."""
    christmas = world.sender.catalog.campaigns["christmas"]
    changed = christmas.model_copy(update={"late": christmas.late.model_copy(update={"policy": policy})})
    world.sender = dataclasses.replace(
        world.sender, catalog=Catalog({"christmas": changed}, world.sender.catalog.sources)
    )


class TestLate:
    """Each late step meets its campaign's policy itself: a batch would send it as if it were on time."""

    @pytest.mark.parametrize(
        ("policy", "states"),
        [
            ("shift", ["sent", "sent", "scheduled"]),
            ("skip", ["sent", "skipped", "scheduled"]),
            ("send", ["sent", "sent", "scheduled"]),
        ],
    )
    def test_after_an_outage(self, many: World, policy: str, states: list[str]) -> None:
        """No worker ran for two days, and the second emails are late when their turn comes."""
        with_policy(many, policy)
        runs = crowd(many, 4)
        many.work()
        many.clock.advance(hours=24 + 46)
        many.work()
        assert many.provider.requests[0] == 4
        assert {tuple(many.states(run)[:3]) for run in runs} == {tuple(states)}
        if policy == "shift":
            assert {many.run(run).step(3).due for run in runs} == {many.clock.now + 48 * HOUR}

    def test_late_emails_do_not_join_a_batch_that_is_on_time(self, many: World) -> None:
        """A newcomer's first email leads; the late ones that wait behind it are shifted, not taken along."""
        runs = crowd(many, 3)
        many.work()
        many.clock.advance(hours=24 + 30)
        lead(many)
        many.work()
        assert many.provider.requests == [3, 1, 1, 1, 1]
        assert {many.run(run).anchor for run in runs} == {many.clock.now - 24 * HOUR}

    def test_emails_on_time_go_in_one_batch(self, many: World) -> None:
        """Emails that are some hours past due, but not late, are one request, and no date moves."""
        runs = crowd(many, 3)
        many.work()
        many.clock.advance(hours=24 + 11)
        many.work()
        assert many.provider.requests == [3, 3]
        assert {many.run(run).step(3).due - many.clock.now for run in runs} == {(72 - 35) * HOUR}


class TestOneADay:
    """A person who catches up gets one email a day, even when another person's batch goes out."""

    @pytest.fixture
    def caught_up(self, world: World, actions: EnrollmentActions, run: str) -> str:
        """Ada's run after a long pause: the first email she had missed has just gone, the next waits on the queue."""
        actions.pause(run)
        world.clock.advance(hours=200)
        actions.resume(run, catch_up=True)
        world.clock.advance(hours=60)
        world.release()
        job = world.next_job()
        assert job and world.sender.send(*job).result == "sent"
        assert str(world.redis.lindex(ids.QUEUE, -1)).startswith(f"{run}-3-"), "her next one waits for a look"
        return run

    def test_the_next_email_joins_no_batch_that_day(self, world: World, caught_up: str) -> None:
        """It stays where it is until its own look, which puts it off to the next day."""
        many = batching(world)
        lead(many)
        many.work()
        assert many.provider.requests == [1]
        assert many.states(caught_up).count("sent") == 2

    def test_it_joins_a_batch_the_next_day(self, world: World, caught_up: str) -> None:
        """A day later it is like any other."""
        world.work()
        world.clock.advance(hours=24)
        many = batching(world)
        lead(many)
        many.work()
        assert many.provider.requests == [2]
        assert many.states(caught_up).count("sent") == 3


class TestAlone:
    """What has failed once, or may have been sent once, has a request of its own, so that nothing else fails with
    it."""

    def test_members_of_a_refused_batch_go_alone(self, many: World) -> None:
        """Even if another email leads."""
        crowd(many, 3)
        many.provider.faults.append(REFUSED)
        many.release()
        many.sender.send(*many.next_job() or pytest.fail("no job"))
        lead(many)
        many.work()
        assert many.provider.requests == [3, 1, 1, 1, 1]
        assert len(many.provider.accepted) == 4

    @pytest.mark.parametrize("fault", [REFUSED, CONFLICT])
    @pytest.mark.parametrize("leads", [True, False])
    def test_a_retried_step_goes_alone(
        self, world: World, actions: EnrollmentActions, fault: SendError, leads: bool
    ) -> None:
        """A step that was refused, or that is sent as new though it may have arrived: it neither leads a batch nor goes
        along in one."""
        run = world.sign_up()
        world.provider.faults.append(fault)
        world.work()
        many = batching(world)
        actions.retry(run, 1, as_new=fault is CONFLICT)
        if not leads:
            lead(many)
        crowd(many, 3)
        many.work()
        assert sorted(many.provider.requests) == ([1, 3] if leads else [1, 4])

    def test_an_email_that_could_not_be_written_goes_alone(self, many: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """A template that failed is tried again by itself."""
        broken = [f"{run}-1" for run in crowd(many, 2)]

        def written(item: Any, **with_: Any) -> dict[str, Any] | None:
            if item.id in broken:
                raise RenderingError("no such word")
            return compose(item, **with_)

        monkeypatch.setattr(sending, "compose", written)
        many.work()
        broken.clear()
        many.clock.advance(seconds=60)
        lead(many)
        many.work()
        assert many.provider.requests == [1, 1, 1]

    @pytest.mark.parametrize("broken", [0, 1, 2])
    def test_an_email_that_could_not_be_written_delays_no_other(
        self, many: World, monkeypatch: pytest.MonkeyPatch, broken: int
    ) -> None:
        """Regardless of which of three it is, the other two go at once; only its own attempt counts as failed."""
        runs = crowd(many, 3)

        def written(item: Any, **with_: Any) -> dict[str, Any] | None:
            if item.id == f"{runs[broken]}-1":
                raise RenderingError("no such word")
            return compose(item, **with_)

        monkeypatch.setattr(sending, "compose", written)
        many.work()
        steps = [many.run(run).step(1) for run in runs]
        assert many.provider.requests == [2]
        assert [step.state for step in steps] == ["scheduled" if number == broken else "sent" for number in range(3)]
        assert [step.why is None for step in steps] == [number != broken for number in range(3)]

    @pytest.mark.parametrize("fault", [CLOSED, SPENT])
    def test_the_probe_behind_a_gate_goes_alone(self, many: World, fault: SendError) -> None:
        """One email tries whether sending works again, though other jobs are on the queue already."""
        runs = crowd(many, 4)
        many.provider.faults.append(fault)
        many.release()
        many.sender.send(*many.next_job() or pytest.fail("no job"))
        many.clock.advance(seconds=3601)
        assert many.release() == 1
        many.redis.rpush(ids.QUEUE, *(f"{run}-1-1" for run in runs))  # late deliveries
        many.sender.send(*many.next_job() or pytest.fail("no job"))
        assert many.provider.requests == [4, 1]

    @pytest.mark.parametrize("leader", ["before", "after"])
    def test_emails_due_before_a_takeover_go_alone(self, many: World, leader: str) -> None:
        """Another copy may have sent it under its own key; what came after goes in batches, led by any email."""
        crowd(many, 3, "before")
        many.clock.advance(seconds=5)
        many.redis.hset(ids.FENCE, "taken_over", many.clock.now)
        many.clock.advance(seconds=5)
        crowd(many, 3, "after")
        many.release()
        if leader == "after":
            last_first(many)
        many.work()
        assert sorted(many.provider.requests) == [1, 1, 1, 3]
        assert len(many.provider.accepted) == 6


class TestNotNow:
    """What waits on the queue but may not be sent now is not sent because another is."""

    @pytest.mark.parametrize("what", ["pause", "cancel", "skip", "suppress"])
    def test_a_step_stopped_by_a_decision_joins_no_batch(self, many: World, what: str) -> None:
        """Its job is still on the queue when the batch is filled."""
        actions = EnrollmentActions(many.ledger, many.sender.catalog, many.settings)
        stopped, going = crowd(many, 2)
        many.release()
        match what:
            case "pause":
                actions.pause(stopped)
            case "cancel":
                actions.cancel(stopped)
            case "skip":
                actions.skip(stopped, 1)
            case "suppress":
                many.ledger.suppress(ids.digest("person0@example.org"), "bounced")
        lead(many)
        many.work()
        assert many.states(stopped)[0] in ("scheduled", "cancelled", "skipped")
        assert many.provider.requests == [2]
        assert many.states(going)[0] == "sent"

    def test_an_email_to_a_suppressed_address_is_not_claimed(self, many: World) -> None:
        """An address that bounced since its job was queued is not written to, only to be refused by the last look."""
        stopped, going, leader = crowd(many, 3)
        many.release()
        many.redis.hset(f"eg:contact:{ids.digest('person0@example.org')}", "bounced", many.clock.now)
        claim = many.ledger.claim(leader, 1, token="t", late={}, rate=1000, batch_above=1)
        assert isinstance(claim, Claimed)
        assert f"{stopped}-1" not in [item.id for item in claim.items] and f"{going}-1" in [
            item.id for item in claim.items
        ]

    @pytest.mark.parametrize("led_by_another", [True, False])
    def test_two_emails_to_one_person_never_share_a_batch(self, many: World, led_by_another: bool) -> None:
        """The second goes after the first was accepted, never with it."""
        quick = World(
            many.ledger, many.clock, many.settings.model_copy(update={"testing_mode": True, "testing_step": 10})
        )
        run = quick.sign_up()
        crowd(quick, 2)
        quick.clock.advance(seconds=11)
        quick.release()
        quick.redis.rpush(ids.QUEUE, f"{run}-2-1")  # its wake-up came all the same
        if led_by_another:
            lead(quick)
        quick.sender.send(*quick.next_job() or pytest.fail("no job"))
        assert quick.states(run)[:2] == ["sent", "scheduled"]
        quick.work()
        assert [id for id in quick.provider.email_ids if id.startswith(run)] == [f"{run}-1", f"{run}-2"]

    def test_an_email_not_yet_due_joins_no_batch(self, many: World) -> None:
        """A job that came too early, as after a change of plan, is left for its time."""
        early = many.sign_up()
        many.work()
        crowd(many, 2)
        many.redis.rpush(ids.QUEUE, f"{early}-2-1")
        lead(many)
        many.work()
        assert many.states(early)[1] == "scheduled"
        assert many.provider.requests == [1, 3]

    def test_a_step_held_by_another_worker_joins_no_batch(self, many: World) -> None:
        """A step that another worker is sending is not sent with the batch."""
        run = many.sign_up()
        many.ledger.claim(run, 1, token="another", late={}, rate=1000, batch_above=10**6)
        many.redis.rpush(ids.QUEUE, f"{run}-1-1")
        crowd(many, 1)
        lead(many)
        many.work()
        assert many.provider.requests == [2]
        assert many.states(run)[0] == "sending"


class TestHowMany:
    """When there is a batch at all, and what is left of the queue."""

    @pytest.mark.parametrize(("waiting", "requests"), [(4, [1] * 5), (5, [6]), (120, [100, 21])])
    def test_a_batch_needs_enough_waiting_emails(self, world: World, waiting: int, requests: list[int]) -> None:
        """Fewer go singly."""
        many = batching(world, above=5)
        crowd(many, waiting + 1)
        many.work()
        assert many.provider.requests == requests

    def test_a_job_left_out_of_a_batch_keeps_its_place(self, many: World) -> None:
        """Late ones stay in their order; foreign jobs stay too."""
        runs = crowd(many, 3)
        many.work()
        many.clock.advance(hours=54)
        lead(many)
        before = many.redis.lrange(ids.QUEUE, 0, -1)[1:]
        many.redis.rpush(ids.QUEUE, "foreign")
        many.sender.send(*many.next_job() or pytest.fail("no job"))
        assert before == [f"{run}-2-1" for run in runs]
        assert many.redis.lrange(ids.QUEUE, 0, -1) == [*before, "foreign"]
