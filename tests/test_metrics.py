"""The figures for Prometheus, made by real sign-ups and a provider that fails on demand."""

from __future__ import annotations

import pytest

from shared.errors import SendError
from shared.ledger import Ledger
from tests.conftest import Clock
from tests.world import World


@pytest.fixture
def world(ledger: Ledger, clock: Clock) -> World:
    return World(ledger, clock)


class TestCounting:
    """What the ledger counts where an email settles."""

    @pytest.mark.parametrize(
        ("late_ms", "bucket"),
        [
            (0, "1"),
            (1_000, "1"),
            (1_001, "5"),
            (59_999, "60"),
            (60_001, "300"),
            (3_600_000, "3600"),
            (80_000_000, "86400"),
            (90_000_000, "+Inf"),
        ],
    )
    def test_lateness(self, world: World, late_ms: int, bucket: str) -> None:
        """From due to accepted, in the bucket up to whose end it reaches."""
        world.sign_up()
        world.clock.advance(ms=late_ms)
        world.release()
        job = world.next_job()
        assert job
        world.ledger.claim(*job, token="t", late={})
        world.ledger.settle([f"{job[0]}-{job[1]}"], "accepted", token="t", ids=["id"])
        assert world.redis.hgetall("eg:lateness") == {bucket: "1", "sum": str(late_ms)}

    def test_an_acceptance_that_is_told_twice_is_counted_once(self, world: World) -> None:
        """A worker that had lost its lease may say it again."""
        run = world.sign_up()
        world.work()
        world.ledger.settle([f"{run}-1"], "accepted", token="t", ids=["id"])
        assert world.redis.hget("eg:lateness", "1") == "1"

    def test_what_was_sent_before_its_time_was_not_late(self, world: World) -> None:
        """A person's `send now` counts as on time."""
        run = world.sign_up()
        world.work()
        world.ledger.decide("hurry", {"enrollment": run, "step": 2})
        world.work()
        assert world.redis.hgetall("eg:lateness") == {"1": "2", "sum": "0"}

    def test_outcomes(self, world: World) -> None:
        """Each email of each request by its outcome, and each request that the provider's rate limit refused."""
        world.provider.faults.extend([SendError("rate", "too many", retry_after=2), SendError("ambiguous", "no answer"), "none"])
        world.sign_up()
        world.work()
        world.live(1)
        assert world.redis.hgetall("eg:counts") == {"held": "1", "waiting": "1", "ambiguous": "1", "accepted": "1"}
