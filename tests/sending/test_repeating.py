"""What may have been accepted is repeated as it was, while the provider remembers it, and never afterwards."""

from __future__ import annotations

import pytest

from shared.core.errors import SendError
from shared.domain.states import Outcome
from shared.ledger import ids
from shared.ledger.claims import Claimed
from shared.ledger.orders import Ending
from tests.support.batches import batching, crowd
from tests.support.world import World

DAY = 24 * 3_600_000
BROKEN = SendError("ambiguous", "Resend answered 500")


def first(world: World, run: str) -> str:
    """The state of a contact's first email."""
    return world.states(run)[0]


@pytest.mark.parametrize("fault", ["lost", BROKEN])
@pytest.mark.parametrize(("away", "state", "requests"), [(-1, "sent", 2), (0, "in-doubt", 1), (1, "in-doubt", 1)])
def test_at_the_end_of_the_window(world: World, fault: SendError | str, away: int, state: str, requests: int) -> None:
    """The scheduler was down until 23 hours after the first post: a moment before that it is repeated, from then on
    not."""
    run = world.sign_up()
    world.provider.faults.append(fault)
    world.work()
    world.clock.advance(hours=23, ms=away)
    world.work()
    assert (first(world, run), len(world.provider.requests)) == (state, requests)
    assert world.provider.twice == []


def test_a_batch_at_the_end_of_the_window(world: World) -> None:
    """All its members are in doubt, none is sent again, and each has its alert."""
    many = batching(world)
    runs = crowd(many, 3)
    many.provider.faults.append("lost")
    many.work()
    many.clock.advance(hours=23)
    many.work()
    assert {first(many, run) for run in runs} == {"in-doubt"}
    assert many.provider.requests == [3]
    assert int(str(many.redis.hget("eg:alert:in-doubt", "count"))) == 3


def test_a_worker_that_slept_through_the_end_of_the_window_does_not_post(world: World) -> None:
    """It claimed in time, and its last look comes after: the lease holds still, the window does not."""
    run = world.sign_up()
    world.provider.faults.append(BROKEN)
    world.work()
    world.clock.advance(hours=23, seconds=-5)
    world.release()
    claim = world.ledger.claim(run, 1, token="t", late={}, rate=1000, batch_above=10**6, date=world.clock.now)
    assert isinstance(claim, Claimed) and claim.request == f"{run}-1"
    world.clock.advance(seconds=5)
    assert (
        world.ledger.post(
            [f"{run}-1"], token="t", request=f"{run}-1", body="{}", spare=11, turn=world.clock.now, rate=1000
        )
        is None
    )


def test_the_window_counts_from_the_first_post(world: World) -> None:
    """Each repetition is younger than the provider's memory of the first one; none of them makes it longer."""
    run = world.sign_up()
    world.provider.faults.extend([BROKEN] * 100)
    began = world.clock.now
    world.work()
    world.live(23)
    step, requests = world.run(run).step(1), len(world.provider.requests)
    assert (step.state, step.posted, requests) == ("in-doubt", began, 25)


def test_a_frozen_request_lasts_as_long_as_the_provider_remembers(world: World) -> None:
    """A day from the first post, singly and as a batch; a repetition neither writes it again nor makes it last
    longer."""
    many = batching(world)
    crowd(many, 2)
    many.provider.faults.extend([BROKEN] * 2)
    many.work()
    (key,) = (str(key) for key in many.redis.keys("eg:frozen:*"))
    assert DAY - 600_000 < int(many.redis.pttl(key)) <= DAY
    many.redis.pexpire(key, DAY // 2)  # as twelve hours later
    before = many.redis.hgetall(key)
    many.sign_up(first_name="Countess", email="person0@example.org")
    many.clock.advance(seconds=60)
    many.work()
    assert many.provider.requests[:2] == [2, 2]
    assert many.redis.hgetall(key) == before
    assert int(many.redis.pttl(key)) <= DAY // 2


def test_an_email_whose_frozen_request_is_gone_is_in_doubt(world: World) -> None:
    """Without the very same bytes nothing can be repeated: it is neither written again nor forgotten."""
    run = world.sign_up()
    world.provider.faults.append("lost")
    world.work()
    world.redis.delete(f"eg:frozen:{run}-1")
    world.clock.advance(seconds=60)
    world.work()
    assert first(world, run) == "in-doubt"
    assert world.provider.requests == [1]
    assert world.redis.zcard(ids.OUTBOX) > 0


def test_a_batch_with_a_given_up_member_is_not_repeated(world: World) -> None:
    """One member came to its look at the window's end, and the clock was then set back: the other is in doubt too, not
    sent with it."""
    many = batching(world)
    given_up, other = crowd(many, 2)
    many.provider.faults.append(BROKEN)
    many.work()
    many.clock.advance(hours=23)
    assert many.sender.send(given_up, 1).result == "in-doubt"
    many.clock.advance(seconds=-10)
    assert many.sender.send(other, 1).result == "in-doubt"
    assert many.provider.requests == [2]
    assert [first(many, run) for run in (given_up, other)] == ["in-doubt", "in-doubt"]


def test_a_batch_refused_on_repetition_is_in_doubt(world: World) -> None:
    """The refusal does not show what became of the first request: none of its emails goes singly under a new key."""
    many = batching(world)
    runs = crowd(many, 3)
    many.provider.faults.extend(["lost", SendError("refused", "Resend answered 422")])
    many.work()
    many.clock.advance(seconds=60)
    many.work()
    assert {first(many, run) for run in runs} == {"in-doubt"}
    assert many.provider.requests == [3, 3]


@pytest.mark.parametrize(
    "fault", [SendError("rate", "Resend answered 429", 5), SendError("wait", "Resend could not be reached", 5)]
)
def test_a_repetition_that_must_wait_stays_a_repetition(world: World, fault: SendError) -> None:
    """A definite refusal of the second request leaves the first one open: the same again later, and nothing is
    rewritten."""
    run = world.sign_up()
    world.provider.faults.extend(["lost", fault])
    world.work()
    world.clock.advance(seconds=60)
    world.work()
    assert (first(world, run), world.run(run).step(1).frozen) == ("sending", f"{run}-1")
    world.sign_up(first_name="Countess")
    world.clock.advance(seconds=5)
    world.work()
    assert (first(world, run), world.provider.twice) == ("sent", [])
    assert len(world.provider.accepted) == 1


def test_a_repetition_without_a_turn_comes_again_by_itself(world: World) -> None:
    """The provider is left alone for a while: the look goes back to the schedule, and no sweeper is needed."""
    run = world.sign_up()
    world.provider.faults.append("lost")
    world.work()
    world.clock.advance(seconds=60)
    world.redis.set("eg:hold:resend", world.clock.now + 10_000)
    assert [result.paced for result in world.work()] == [True]
    world.clock.advance(seconds=10)
    world.work()
    assert first(world, run) == "sent"


@pytest.mark.parametrize("outcome", ["refused", "waiting", "failing", "ambiguous", "conflict", "skipped", "dissolved"])
def test_only_the_lease_holder_decides_the_outcome(world: World, outcome: str) -> None:
    """A worker whose lease went to another does not change the other's request, regardless of what it reports; that
    one's answer counts."""
    run = world.sign_up()
    email = f"{run}-1"
    for token in ("slow", "quick"):
        assert isinstance(world.ledger.claim(run, 1, token=token, late={}, rate=1000, batch_above=10**6), Claimed)
        world.clock.advance(seconds=45 if token == "slow" else 0)
    assert world.ledger.post(
        [email], token="quick", request=email, body="{}", spare=11, turn=world.clock.now, rate=1000
    )
    before = world.run(run).step(1)
    world.ledger.settle([email], Ending(Outcome(outcome), why="too late", delays=[60_000]), token="slow", at_work=email)
    assert world.run(run).step(1) == before
    world.ledger.settle([email], Ending(Outcome.ACCEPTED, ids=["id-0"]), token="quick", at_work=email)
    assert first(world, run) == "sent"
