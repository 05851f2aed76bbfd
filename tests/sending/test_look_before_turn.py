"""Between the last look and its request lie milliseconds: also where a clock was corrected in between."""

from __future__ import annotations

import dataclasses

import pytest

from shared.ledger.client import AHEAD, Ledger
from shared.operations.enrollment_actions import EnrollmentActions
from shared.sending import composing
from shared.sending import sender as sending
from tests.conftest import Clock
from tests.support.world import World


@pytest.mark.parametrize("back", [0.5, 2, 9])
def test_a_clock_that_is_set_back_a_little_opens_no_gap_after_the_last_look(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch, back: float
) -> None:
    """Redis's clock steps back between claim and last look; whoever pauses then, while the sender waits for its turn, gets no email."""
    world = World(ledger, clock)
    run = world.sign_up()
    compose = composing.compose

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
