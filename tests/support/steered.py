"""What the tests of steering ask of a World."""

from __future__ import annotations

from shared.core.errors import SendError
from shared.ledger import ids
from tests.conftest import START
from tests.support.world import World

HOUR = 3_600_000
GAPS = [24, 72, 120, 168, 216, 264]  # hours after the first, of Christmas


def live_at(world: World, instant: int) -> None:
    """Let the time come, and work."""
    world.clock.now = instant
    world.work()


def dues(world: World, run: str) -> list[int]:
    """When the steps are due, in hours after the test's start."""
    return [round((step.due - START) / HOUR) for step in world.run(run).steps]


def sent_at(world: World, run: str) -> list[int | None]:
    """When each step went out, in hours after the test's start."""
    return [None if step.sent_at is None else round((step.sent_at - START) / HOUR) for step in world.run(run).steps]


def waiting(world: World) -> tuple[int, int]:
    """How many steps the schedule and the sweeper know."""
    return int(world.redis.zcard(ids.SCHEDULED)), int(world.redis.zcard(ids.OPEN))


def in_doubt(world: World, run: str, step: int = 2, *, taken: bool = True) -> None:
    """Let a step be posted and its outcome never be learned, until it is in doubt: here by a conflict on the
    repetition."""
    live_at(world, world.run(run).step(step).due - 1)
    world.provider.faults.extend(
        ["lost" if taken else SendError("ambiguous", "no answer"), SendError("conflict", "another body")]
    )
    live_at(world, world.run(run).step(step).due)
    live_at(world, world.clock.now + 60_000)
    assert world.run(run).step(step).state == "in-doubt"


def batch_in_doubt(world: World, *, taken: bool = True) -> list[str]:
    """Let the first emails of three people end in doubt that went in one batch, so that a person may send them again;
    returns the runs."""
    runs = [world.sign_up(email=f"{name}@example.org") for name in ("a", "b", "c")]
    world.provider.faults.extend(
        ["lost" if taken else SendError("ambiguous", "no answer"), SendError("conflict", "another body")]
    )
    world.work()
    live_at(world, world.clock.now + 60_000)
    assert {
        (step.state, step.frozen == world.run(runs[0]).step(1).frozen)
        for step in (world.run(run).step(1) for run in runs)
    } == {("in-doubt", True)}
    return runs


def failed(world: World, run: str, step: int = 2) -> None:
    """Let a step be refused for good."""
    world.provider.faults.append(SendError("refused", "no such mailbox"))
    live_at(world, world.run(run).step(step).due)
    assert world.run(run).step(step).state == "failed"


def keys(world: World) -> list[str]:
    """The idempotency keys that the provider accepted, in order."""
    return list(world.provider._known)


def complete_without(world: World, run: str, step: int) -> None:
    """Let a run end whose one step has failed."""
    failed(world, run, step)
    world.live(300)
    assert world.run(run).state == "completed"
