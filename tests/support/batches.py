"""A world whose emails go in batches, and what tests of batches ask of it."""

from __future__ import annotations

from shared.ledger import ids
from tests.support.world import World


def batching(world: World, above: int = 1) -> World:
    """The same ledger and settings, for whose sender `above` waiting jobs are enough for a batch; the provider is a new
    one."""
    return World(world.ledger, world.clock, world.settings.model_copy(update={"resend_batch_above": above}))


def crowd(world: World, count: int, name: str = "person") -> list[str]:
    """Sign this many people up; returns their enrollments."""
    return [world.sign_up(email=f"{name}{number}@example.org") for number in range(count)]


def last_first(world: World) -> None:
    """The job that was queued last is the next one, so that it leads the batch."""
    world.redis.lmove(ids.QUEUE, ids.QUEUE, "RIGHT", "LEFT")
