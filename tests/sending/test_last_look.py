"""The last look: once a stop was acknowledged, nothing leaves that had not left by then."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.core.errors import ActionError, SendError
from shared.intake.context import exits
from shared.integrations.provider import Accepted
from shared.ledger import ids
from shared.ledger.claims import Claimed, Leave
from shared.ledger.client import Ledger
from shared.ledger.decisions import AHEAD
from shared.ledger.enroll_orders import Enroll
from shared.operations.enrollment_actions import EnrollmentActions
from shared.sending import sender as sending
from shared.sending.composing import compose
from tests.conftest import Clock
from tests.support.provider_double import MemoryProvider
from tests.support.world import SETTINGS, World

BEFORE_LEASE_ENDS = 31  # seconds: the last instant at which a request may still leave, as its answer takes at most 13


@dataclass
class Between:
    """What happens between the claim and the last look, as the email is being written.

    Attributes:
        happens: it, once.
    """

    happens: Callable[[], object] = field(default=lambda: None)

    def compose(self, *args: Any, **named: Any) -> dict[str, Any] | None:
        """Write an email, after it has happened."""
        happens, self.happens = self.happens, lambda: None
        happens()
        return compose(*args, **named)


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Between:
    """What a test lets happen there."""
    between = Between()
    monkeypatch.setattr(sending, "compose", between.compose)
    return between


@pytest.fixture
def batches(world: World) -> World:
    """The same world, in which what is due together goes in one request."""
    return World(world.ledger, world.clock, SETTINGS.model_copy(update={"resend_batch_above": 1}))


def contact(name: str = "ada") -> str:
    return ids.digest(f"{name}@example.org")


def stops(world: World, actions: EnrollmentActions, run: str) -> dict[str, Callable[[], object]]:
    """Everything after which nothing of a run may leave."""
    return {
        "pause": lambda: actions.pause(run),
        "cancel": lambda: actions.cancel(run),
        "unsubscribe": lambda: world.ledger.suppress(contact(), "unsubscribed"),
        "bounce": lambda: world.ledger.suppress(contact(), "bounced"),
        "stop sending": actions.stop_sending,
        "booking": lambda: world.ledger.enroll(
            Enroll(
                contact=contact(),
                fields={"email": "ada@example.org"},
                source="test",
                exit=exits("booked", world.clock.now, world.intake),
            )
        ),
        "fence lost": lambda: world.redis.hset(ids.FENCE, mapping={"on": "1", "why": "another copy sends"}),
    }


STOPS = ("pause", "cancel", "unsubscribe", "bounce", "stop sending", "booking", "fence lost")


@pytest.mark.parametrize("after", [0, 1, BEFORE_LEASE_ENDS])
@pytest.mark.parametrize("stop", STOPS)
def test_nothing_leaves_after_a_stop(
    world: World, actions: EnrollmentActions, between: Between, stop: str, after: int
) -> None:
    """Regardless of what stops it and how long it had been claimed; no attempt is counted."""
    run = world.sign_up()

    def happens() -> None:
        world.clock.advance(seconds=after)
        stops(world, actions, run)[stop]()

    between.happens = happens
    world.work()
    assert world.provider.requests == []
    step = world.run(run).step(1)
    ended = {"cancel": "cancelled", "unsubscribe": "cancelled", "bounce": "cancelled", "booking": "cancelled"}
    assert (step.state, step.attempts, step.posted) == (ended.get(stop, "scheduled"), 0, None)


@pytest.mark.parametrize(("stop", "start"), [("pause", "resume"), ("stop sending", "start sending")])
def test_a_held_email_goes_out_once_the_stop_ends(
    world: World, actions: EnrollmentActions, between: Between, stop: str, start: str
) -> None:
    """When a stop ends, nothing is forgotten: the email then goes out, once."""
    run = world.sign_up()
    between.happens = stops(world, actions, run)[stop]
    world.work()
    world.clock.advance(seconds=90)
    if start == "resume":
        actions.resume(run)
    else:
        actions.start_sending()
    world.live(1)
    assert world.states(run)[0] == "sent"
    assert world.provider.requests == [1]


def test_an_email_paused_before_it_left_is_off_the_schedule(
    world: World, actions: EnrollmentActions, between: Between
) -> None:
    """Neither the schedule nor the sweeper knows about it until its enrollment is resumed."""
    run = world.sign_up()
    between.happens = lambda: actions.pause(run)
    world.release()
    assert world.sender.send(*world.next_job() or pytest.fail("no job")).result == "parked"
    assert world.redis.zcard(ids.OPEN) == world.redis.zcard(ids.SCHEDULED) == world.redis.llen(ids.QUEUE) == 0


@pytest.mark.parametrize("stop", ["pause", "cancel", "unsubscribe", "booking"])
def test_a_batch_goes_without_members_that_were_stopped(
    batches: World, actions: EnrollmentActions, between: Between, stop: str
) -> None:
    """One of three leaves the batch, the other two are written again, and all their attempts are right."""
    runs = [batches.sign_up(email=f"{name}@example.org") for name in ("bo", "ada", "cy")]
    between.happens = stops(batches, actions, runs[1])[stop]
    batches.work()
    assert batches.provider.requests == [2]
    assert sorted(batches.provider.email_ids) == sorted(f"{run}-1" for run in (runs[0], runs[2]))
    assert [batches.run(run).step(1).attempts for run in runs] == [1, 0, 1]
    assert batches.states(runs[1])[0] in ("scheduled", "cancelled")


def test_a_batch_goes_out_without_its_stopped_leader(
    batches: World, actions: EnrollmentActions, between: Between
) -> None:
    """The email whose job it was is barred: the others of its batch still go, a single one under its own key."""
    runs = [batches.sign_up(email=f"{name}@example.org") for name in ("ada", "bo")]
    between.happens = lambda: actions.cancel(runs[0])
    batches.release()
    result = batches.sender.send(*batches.next_job() or ("", 0))
    assert result.result == "parked"
    assert batches.provider.requests == [1]
    assert batches.run(runs[1]).step(1).frozen is None
    assert batches.states(runs[1])[0] == "sent"


def test_a_batch_with_no_members_left_gives_its_turn_back(
    batches: World, actions: EnrollmentActions, between: Between
) -> None:
    """The provider is not called, and the next email does not wait for an unused turn."""
    slow = batches.settings.model_copy(update={"resend_rate": 1})
    batches.sender = dataclasses.replace(batches.sender, settings=slow)
    runs = [batches.sign_up(email=f"{name}@example.org") for name in ("bo", "cy")]
    between.happens = lambda: [actions.cancel(run) for run in runs]
    batches.work()
    began = batches.clock.now
    batches.sign_up(email="di@example.org")
    batches.work()
    assert batches.provider.requests == [1]
    assert batches.clock.now == began


def test_a_forgotten_contact_leaves_nothing_in_the_batch(batches: World, between: Between) -> None:
    """Their email is not in the request, and the others' are."""
    from shared.ledger.contacts import Contacts

    runs = [batches.sign_up(email=f"{name}@example.org") for name in ("bo", "ada")]
    between.happens = lambda: Contacts(batches.ledger).forget(contact())
    batches.work()
    assert batches.provider.email_ids == [f"{runs[0]}-1"]


@pytest.mark.parametrize("stop", ["pause", "cancel", "unsubscribe"])
def test_a_posted_email_is_never_put_back(world: World, actions: EnrollmentActions, stop: str) -> None:
    """It may have been accepted: barred between the claim of its repetition and the last look, it is in doubt, not
    cancelled."""
    run = world.sign_up()
    world.provider.faults.append("lost")
    world.work()
    world.clock.advance(seconds=60)
    claim = world.ledger.claim(
        run, 1, token="t", late={}, rate=1000, account=world.sender._account, date=world.clock.now
    )
    assert isinstance(claim, Claimed) and claim.request
    stops(world, actions, run)[stop]()
    look = {"token": "t", "request": claim.request, "body": claim.body, "spare": 11.0, "turn": claim.turn, "rate": 1000}
    assert world.ledger.post([f"{run}-1"], **look) is None  # type: ignore[arg-type]  # as they are
    assert world.run(run).step(1).state == "in-doubt"


def test_a_repetition_waits_behind_a_gate(world: World, actions: EnrollmentActions) -> None:
    """It stays what it is, the same request, and goes when sending is started again."""
    run = world.sign_up()
    world.provider.faults.append("lost")
    world.work()
    world.clock.advance(seconds=60)
    claim = world.ledger.claim(
        run, 1, token="t", late={}, rate=1000, account=world.sender._account, date=world.clock.now
    )
    assert isinstance(claim, Claimed)
    actions.stop_sending()
    look = {"token": "t", "request": claim.request, "body": claim.body, "spare": 11.0, "turn": claim.turn, "rate": 1000}
    assert world.ledger.post([f"{run}-1"], **look) is None  # type: ignore[arg-type]  # as they are
    step = world.run(run).step(1)
    assert (step.state, step.frozen, step.attempts) == ("sending", f"{run}-1", 1)
    actions.start_sending()
    world.work()
    assert world.states(run)[0] == "sent"
    assert world.provider.twice == []


def test_the_gates_own_probe_passes(world: World) -> None:
    """Behind a closed gate the one email that tries it may leave, and opens it."""
    run = world.sign_up()
    world.provider.faults.append(SendError("closed", "Resend answered 403"))
    world.work()
    world.clock.advance(seconds=60)
    world.work()
    assert world.provider.requests == [1, 1]
    assert world.states(run)[0] == "sent"


def test_a_hold_set_after_the_claim_counts(world: World, between: Between) -> None:
    """Another worker got a 429: an email that has been claimed already waits as long, and is checked once more before
    it leaves."""
    run = world.sign_up()
    between.happens = lambda: world.ledger.hold("resend", 5)
    began = world.clock.now
    world.work()
    assert world.provider.requests == [1]
    assert world.run(run).step(1).attempts == 1
    assert world.clock.now >= began + 4990  # the wait is measured by this machine's clock


def test_a_hold_longer_than_the_lease_gives_the_email_back(world: World, between: Between) -> None:
    """No thread sleeps for an hour; the email goes when the hold is over."""
    run = world.sign_up()
    between.happens = lambda: world.ledger.hold("resend", 3600)
    began = world.clock.now
    assert [result.result for result in world.work()] == ["parked"]
    assert world.clock.now == began
    assert world.run(run).step(1).attempts == 0
    world.redis.delete("eg:hold:resend")  # Redis forgets it by its own clock
    world.clock.advance(seconds=3600)
    world.work()
    assert world.states(run)[0] == "sent"


@pytest.mark.parametrize("slept", [0.5, 70, 86_400])
def test_a_machine_that_slept_after_the_last_look_does_not_post(world: World, slept: float) -> None:
    """A stop may have been acknowledged elsewhere meanwhile: the look is taken again, and no attempt counts."""
    run = world.sign_up()
    instants = iter([100.0, 100.0 + slept])
    awake = dataclasses.replace(world.sender, awake=lambda: next(instants, 1e9))
    result = awake.send(run, 1)
    if slept < 1:
        assert result.result == "sent"
        return
    step = world.run(run).step(1)
    assert (world.provider.requests, step.state, step.attempts, step.posted) == ([], "scheduled", 0, None)
    world.clock.advance(seconds=5)
    world.work()
    assert world.states(run)[0] == "sent"


def test_a_repetition_that_overslept_stays_a_repetition(world: World) -> None:
    """What may have been accepted is not put back because the machine slept before it was asked again."""
    run = world.sign_up()
    world.provider.faults.append("lost")
    world.work()
    world.clock.advance(seconds=60)
    world.release()
    instants = iter([100.0, 170.0])
    dataclasses.replace(world.sender, awake=lambda: next(instants)).send(run, 1)
    step = world.run(run).step(1)
    assert (step.state, step.ambiguous, step.frozen) == ("sending", True, f"{run}-1")
    world.clock.advance(seconds=5)
    world.work()
    assert (world.states(run)[0], world.provider.twice) == ("sent", [])


class Steps(MemoryProvider):
    """A provider at whose first request something happens."""

    happens: Callable[[], object]

    def _take(self, emails: list[dict[str, Any]], key: str, *, permissive: bool) -> Accepted:
        self.happens()
        return super()._take(emails, key, permissive=permissive)


def test_a_request_on_the_wire_still_arrives(world: World, actions: EnrollmentActions) -> None:
    """A request that has left cannot be called back: it is recorded as sent."""
    run = world.sign_up()
    provider = Steps(world.clock)
    provider.happens = lambda: actions.cancel(run)
    world.sender = dataclasses.replace(world.sender, provider=provider)
    world.work()
    assert (world.run(run).state, world.states(run)[0]) == ("cancelled", "sent")


@pytest.mark.parametrize("hours", [-1, -48])
def test_a_clock_set_back_makes_no_thread_sleep_for_long(
    ledger: Ledger, clock: Clock, between: Between, hours: int
) -> None:
    """Between claim and last look Redis's clock steps back: the planned turn is far ahead, and is planned again."""
    world = World(ledger, clock)
    naps: list[float] = []
    world.sender = dataclasses.replace(world.sender, sleep=naps.append)
    world.sign_up()
    between.happens = lambda: clock.advance(hours=hours)
    world.work()
    assert max(naps, default=0) <= 1
    assert world.provider.requests == [1]


def test_a_skip_that_cannot_take_effect_is_refused(world: World, actions: EnrollmentActions) -> None:
    """What was posted and not answered yet cannot be left out, and no response says that it was."""
    run = world.sign_up()
    world.provider.faults.append("lost")
    world.work()
    with pytest.raises(ActionError):
        actions.skip(run, 1)


def test_a_late_look_leaves_the_email_to_the_next_worker(world: World) -> None:
    """So near the end of the lease that the answer could come after it, nothing is posted."""
    run = world.sign_up()
    claim = world.ledger.claim(run, 1, token="t", late={}, rate=1000)
    assert isinstance(claim, Claimed)
    world.clock.advance(seconds=BEFORE_LEASE_ENDS)
    look = {"token": "t", "request": f"{run}-1", "body": "{}", "turn": claim.turn, "rate": 1000}
    assert world.ledger.post([f"{run}-1"], spare=14.5, **look) is None  # type: ignore[arg-type]  # as they are
    # as they are
    assert isinstance(world.ledger.post([f"{run}-1"], spare=13.5, **look), Leave)  # type: ignore[arg-type]


@pytest.mark.parametrize("why", ["the gate", "a hold that is over by then"])
def test_an_email_that_may_not_leave_gives_its_turn_back(
    world: World, actions: EnrollmentActions, between: Between, why: str
) -> None:
    """At one request a second, the next email does not wait for the unused turn."""
    slow = SETTINGS.model_copy(update={"resend_rate": 1})
    world.sender = dataclasses.replace(world.sender, settings=slow)
    run = world.sign_up()
    if why == "the gate":
        between.happens = actions.stop_sending
    else:
        between.happens = lambda: world.ledger.hold("resend", 50)
    world.work()
    actions.start_sending()
    world.redis.delete("eg:hold:resend")
    assert world.redis.get("eg:turns:resend") == ""
    actions.cancel(run)
    began = world.clock.now
    world.sign_up(email="bo@example.org")
    world.work()
    assert (world.provider.requests, world.clock.now) == ([1], began)


@pytest.mark.parametrize("back", [0.5, 2, 9])
def test_a_small_clock_step_back_opens_no_gap_after_the_last_look(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch, back: float
) -> None:
    """Redis's clock steps back between claim and last look; if a person pauses then, while the email waits for its
    turn, it is not sent."""
    world = World(ledger, clock)
    run = world.sign_up()

    def corrected(*given: object, **named: object) -> object:
        clock.advance(seconds=-back)
        return compose(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(sending, "compose", corrected)
    naps: list[float] = []

    def nap(length: float) -> None:
        naps.append(length)
        if length > 2 * AHEAD / 1000 and world.run(run).state == "active":
            EnrollmentActions(ledger, world.sender.catalog, world.settings).pause(run)
        clock.advance(seconds=length)

    world.sender = dataclasses.replace(world.sender, sleep=nap)
    world.release()
    job = world.next_job()
    assert job
    world.sender.send(*job)
    paused = world.run(run).state == "paused"
    assert world.provider.requests == ([] if paused else [1]), naps


def test_a_slow_redis_never_holds_an_email_back_silently(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The email goes, or the owner learns why it does not."""
    world = World(ledger, clock)
    world.sender = dataclasses.replace(world.sender, awake=lambda: clock.now / 1000)
    post = ledger.post

    def slowly(*given: object, **named: object) -> object:
        answer = post(*given, **named)  # type: ignore[arg-type]
        clock.advance(seconds=1.2)
        return answer

    monkeypatch.setattr(ledger, "post", slowly)
    run = world.sign_up()
    for _ in range(60):
        world.release()
        if job := world.next_job():
            world.sender.send(*job)
        clock.advance(seconds=60)
    assert world.states(run)[0] == "sent" or world.redis.keys("eg:alert:*") != []
