"""A clock that was set back to before Redis's start: Redis counts the seconds since its start by that clock, below zero too."""

from __future__ import annotations

import pytest
from redis import Redis

from shared.ledger import client
from shared.ledger.client import Ledger
from shared.ledger.script_sources import sources
from tests.conftest import Clock
from tests.support.world import World

INFO = "redis.call('INFO', 'server')"
SET_BACK = "'run_id:0123456789abcdef\\r\\nuptime_in_seconds:-3570\\r\\n'"


def test_a_repetition_goes_on_after_a_clock_was_set_back_to_before_the_start(
    redis: Redis, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider is asked for its time and answers: that was heard since the start, whatever the clock says."""
    monkeypatch.setattr(
        client, "sources", lambda constants: {name: text.replace(INFO, SET_BACK) for name, text in sources(constants).items()}
    )
    world = World(Ledger(redis, clock=clock, durable=True), clock)
    run = world.sign_up()
    world.provider.faults.append("lost")
    world.work()
    assert world.states(run)[0] == "sending"
    world.clock.advance(seconds=60)
    world.work()
    assert (world.states(run)[0], world.provider.twice) == ("sent", [])
