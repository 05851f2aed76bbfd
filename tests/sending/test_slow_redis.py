"""A Redis that takes longer than a second for an answer, for an hour."""

from __future__ import annotations

import dataclasses

import pytest

from shared.ledger.client import Ledger
from tests.conftest import Clock
from tests.support.world import World


def test_a_redis_that_answers_slowly_holds_no_email_back_in_silence(ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The email goes, or the owner is told why it does not."""
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
