"""One sign-up becomes seven emails: the whole path, except HTTP, on a real Valkey with a given clock."""

from __future__ import annotations

from shared.ledger import ids
from tests.support.world import World

DELAYS = [0, 24, 72, 120, 168, 216, 264]


def test_seven_emails_go_out_when_they_are_due(world: World) -> None:
    """A sign-up gets seven emails, each at its own hour and none before."""
    run = world.sign_up()
    started = world.clock.now
    for sent, hours in enumerate(DELAYS):
        world.clock.now = started + hours * 3_600_000 - 1
        world.work()
        assert len(world.provider.accepted) == sent
        world.clock.advance(ms=1)
        world.work()
        assert len(world.provider.accepted) == sent + 1
    assert world.provider.email_ids == [f"{run}-{number}" for number in range(1, 8)]
    assert world.run(run).state == "completed"


def test_the_same_sign_up_again_changes_nothing(world: World) -> None:
    """Two hundred repetitions enroll once."""
    run = world.sign_up()
    before = world.redis.dbsize()
    for _ in range(200):
        world.sign_up()
    assert world.redis.dbsize() == before
    assert world.redis.zcard(ids.OPEN) == 7
    world.live(hours=300)
    assert len(world.provider.accepted) == 7
    assert world.redis.hget(ids.enrollment_key(run), "state") == "completed"
