"""The gate that holds all sending back: what a person closed, only a person opens; what the provider closed is tried by
one probe at a time."""

from __future__ import annotations

import pytest

from shared.core.errors import SendError
from shared.domain.states import Outcome
from shared.ledger import ids
from shared.ledger.claims import Claimed
from shared.ledger.health import read_health
from shared.ledger.orders import Ending, Report
from shared.operations.enrollment_actions import EnrollmentActions
from tests.support.batches import crowd
from tests.support.world import World

WHY = "the second email names a wrong date"
CLOSED = SendError("closed", "Resend answered 403")
SPENT = SendError("quota", "Resend answered 429 daily_quota_exceeded", 60)


def gate(world: World) -> str | None:
    """Why nothing is sent."""
    return read_health(world.ledger).gate


def on_its_way(world: World, email: str = "ada@example.org") -> str:
    """A person's first email, posted and not answered yet; returns its id."""
    run = world.sign_up(email=email)
    claim = world.ledger.claim(run, 1, token=email, late={}, rate=1000, batch_above=10**6)
    assert isinstance(claim, Claimed)
    assert world.ledger.post(
        [f"{run}-1"], token=email, request=f"{run}-1", body="{}", spare=11, turn=claim.turn, rate=1000
    )
    return f"{run}-1"


def waits(world: World, run: str, hours: float = 30) -> bool:
    """Whether an email still waits after that long."""
    world.live(hours)
    return world.states(run)[0] == "scheduled" and not world.provider.requests


class TestManualStop:
    """It holds until a person starts sending again, regardless of the provider's response to emails that were on their
    way."""

    @pytest.mark.parametrize("outcome", ["accepted", "refused", "waiting", "ambiguous"])
    def test_no_answer_reopens_a_manual_stop(self, world: World, actions: EnrollmentActions, outcome: str) -> None:
        """An email that left before the stop gets its outcome; the next one waits."""
        id = on_its_way(world)
        actions.stop_sending(WHY)
        ending = Ending(
            Outcome(outcome), ids=["id-0"], why=None if outcome == "accepted" else "said so", delays=[60_000]
        )
        world.ledger.settle([id], ending, token="ada@example.org", at_work=id)
        assert gate(world) == WHY
        assert waits(world, world.sign_up(email="bo@example.org"))

    @pytest.mark.parametrize(
        ("reason", "seconds"), [("Resend answered 401", 60), ("Resend answered 429 daily_quota_exceeded", 7200)]
    )
    def test_no_answer_sets_an_end_to_a_manual_stop(
        self, world: World, actions: EnrollmentActions, reason: str, seconds: int
    ) -> None:
        """A refused key and an exhausted quota have gates of their own, which would open by themselves."""
        id = on_its_way(world)
        actions.stop_sending(WHY)
        ending = Ending(Outcome.WAITING, why=reason, gate=reason, gate_until=world.clock.now + seconds * 1000)
        world.ledger.settle([id], ending, token="ada@example.org", at_work=id)
        assert gate(world) == WHY
        assert waits(world, id.removesuffix("-1"))

    @pytest.mark.parametrize("on_the_queue", [True, False])
    def test_a_manual_stop_replaces_the_providers(
        self, world: World, actions: EnrollmentActions, on_the_queue: bool
    ) -> None:
        """A probe that is on the queue already does not go, and none follows when the provider's time is over."""
        run = world.sign_up()
        world.provider.faults.append(CLOSED)
        world.work()
        world.clock.advance(seconds=60)
        if on_the_queue:
            assert world.release() == 1
        actions.stop_sending(WHY)
        world.provider.requests.clear()
        assert waits(world, run)
        assert gate(world) == WHY

    def test_a_report_about_an_earlier_email_opens_nothing(
        self, world: World, actions: EnrollmentActions, run: str
    ) -> None:
        """A report about an email that the provider had already accepted does not affect the stop."""
        actions.stop_sending(WHY)
        now, contact = world.clock.now, ids.digest("ada@example.org")
        world.ledger.receive(
            Report(
                what="delivered",
                at=now,
                seen="x",
                seen_ttl=1000,
                contact=contact,
                enrollment=run,
                step=1,
                id="id-0",
                sent=now,
            )
        )
        assert gate(world) == WHY

    def test_send_now_and_resume_wait_too(self, world: World, actions: EnrollmentActions, run: str) -> None:
        """`send now`, a retry, a resumption and a new sign-up put nothing past the gate; all of it goes once it is
        open."""
        actions.stop_sending(WHY)
        actions.send_now(run, 2)
        another = world.sign_up(email="bo@example.org")
        actions.pause(another)
        actions.resume(another)
        world.provider.requests.clear()
        world.live(1)
        assert not world.provider.requests
        actions.start_sending()
        world.work()
        assert (world.states(run)[1], world.states(another)[0]) == ("sent", "sent")

    def test_a_manual_stop_holds_jobs_already_on_the_queue(self, world: World, actions: EnrollmentActions) -> None:
        """Jobs that workers take off after the stop go back to the schedule."""
        runs = crowd(world, 3)
        world.release()
        actions.stop_sending(WHY)
        while job := world.next_job():
            assert world.sender.send(*job).why == WHY
        assert world.provider.requests == []
        actions.start_sending()
        world.work()
        assert {world.states(run)[0] for run in runs} == {"sent"}

    def test_the_latest_reason_counts(self, world: World, actions: EnrollmentActions) -> None:
        """Stopping again replaces the reason that people see."""
        actions.stop_sending("first")
        actions.stop_sending("second")
        assert gate(world) == "second"


class TestProbes:
    """Behind a gate that the provider closed, one email at a time tries whether it is open again."""

    @pytest.mark.parametrize("fault", [CLOSED, SPENT])
    def test_one_probe_at_a_time(self, world: World, fault: SendError) -> None:
        """While one is out, no other follows until its lease is over, also by another scheduler."""
        crowd(world, 3)
        world.provider.faults.append(fault)
        world.work()
        world.clock.advance(seconds=60)
        assert [world.ledger.release()[0] for _ in range(3)] == [1, 0, 0]
        world.clock.advance(seconds=44)
        assert world.ledger.release()[0] == 0
        world.clock.advance(seconds=1)
        assert world.ledger.release()[0] == 1

    @pytest.mark.parametrize("fault", [CLOSED, SPENT])
    def test_no_probe_before_its_time(self, world: World, fault: SendError) -> None:
        """A minute after a refused key, at the reset of a quota, and not a moment earlier."""
        crowd(world, 2)
        world.provider.faults.append(fault)
        world.work()
        world.clock.advance(seconds=60, ms=-1)
        assert world.ledger.release()[0] == 0
        world.clock.advance(ms=1)
        assert world.ledger.release()[0] == 1

    def test_only_the_probe_passes(self, world: World) -> None:
        """Others that a worker takes off the queue meanwhile are held."""
        runs = crowd(world, 3)
        world.provider.faults.append(CLOSED)
        world.work()
        world.clock.advance(seconds=60)
        world.release()
        probe = world.next_job()
        assert probe
        for run in runs:
            if run != probe[0]:
                assert world.sender.send(run, 1).why == CLOSED.reason
        assert world.provider.requests == [1]
        assert world.sender.send(*probe).result == "sent"
        assert gate(world) is None

    @pytest.mark.parametrize(
        ("fault", "sent"),
        [(SendError("refused", "no such mailbox"), 2), (SendError("ambiguous", "no answer"), 3), ("lost", 3)],
    )
    def test_a_probe_that_was_not_accepted_opens_nothing(self, world: World, fault: SendError | str, sent: int) -> None:
        """A refusal of the email, or silence, does not show that the key works."""
        crowd(world, 3)
        world.provider.faults.extend([CLOSED, fault])
        world.work()
        world.clock.advance(seconds=60)
        world.work()
        assert world.provider.requests == [1, 1]
        assert gate(world) == CLOSED.reason
        world.live(3)
        assert gate(world) is None
        assert len(set(world.provider.email_ids)) == len(world.provider.accepted) == sent

    def test_the_owner_gets_one_alert_when_sending_stops(self, world: World) -> None:
        """The alert comes with the first refusal, not with every probe."""
        crowd(world, 2)
        world.provider.faults.extend([CLOSED] * 3)
        world.live(0.5)
        assert world.redis.hget("eg:alert:closed", "count") == "1"

    def test_an_email_already_on_its_way_reopens_the_gate(self, world: World) -> None:
        """An accepted email shows that the key works again."""
        id = on_its_way(world)
        other = world.sign_up(email="bo@example.org")
        world.provider.faults.append(CLOSED)
        world.work()
        assert gate(world) == CLOSED.reason
        world.ledger.settle([id], Ending(Outcome.ACCEPTED, ids=["id-0"]), token="ada@example.org", at_work=id)
        assert gate(world) is None
        world.work()
        assert world.states(other)[0] == "sent"
