"""Turns at a provider: never more often than its rate, regardless of who asks."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from math import ceil

import pytest

from shared.domain.states import Outcome
from shared.domain.timing import DAY
from shared.ledger.claims import Refused
from shared.ledger.client import Ledger
from shared.ledger.decisions import AHEAD
from shared.ledger.orders import Ending
from shared.ledger.pacing import Pacer
from tests.conftest import Clock
from tests.support.world import World


def test_notion_is_asked_at_most_three_times_a_second(ledger: Ledger, clock: Clock) -> None:
    """Two processes that ask at once wait for each other's turns, and together keep the rate."""
    turns: list[float] = []

    def sleep(seconds: float) -> None:
        clock.advance(seconds=seconds)

    pacers = [Pacer(ledger, "notion", 3, sleep=sleep) for _ in range(2)]
    for number in range(30):
        pacers[number % 2].wait()
        turns.append(clock.now / 1000)
    assert all(later - earlier > 1 for earlier, later in zip(turns, turns[3:], strict=False))
    assert 30 / (turns[-1] - turns[0]) > 0.98 * 3


def test_a_providers_hold_is_respected(ledger: Ledger, clock: Clock) -> None:
    """All processes wait out a hold, in short naps."""
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        clock.advance(seconds=seconds)

    pacer, began = Pacer(ledger, "notion", 3, sleep=sleep), clock.now
    pacer.hold(10)
    pacer.wait()
    assert clock.now == began + 10_000
    assert max(naps) <= 3


def worker(world: World, runs: list[str], rate: float, lot: random.Random, left: list[int]) -> Iterator[int]:
    """Send the first email of runs as a sender does, as slowly as it happens; yields the milliseconds that pass before
    each next deed."""
    ledger, clock = world.ledger, world.clock
    while runs:
        run = runs.pop()
        members = [f"{run}-1"]
        while isinstance(
            claimed := ledger.claim(run, 1, token=run, late={"christmas": DAY}, rate=rate, batch_above=10**6), Refused
        ):
            assert claimed.what == "pace" and claimed.until
            yield claimed.until - clock.now - 1000
        writing = lot.randint(400, 1200) if lot.random() < 0.1 else lot.randint(0, 120)
        yield max(writing, claimed.turn - clock.now - AHEAD)
        turn = claimed.turn
        while leave := ledger.post(members, token=run, request=run, body="{}", spare=11, turn=turn, rate=rate):
            turn = leave.turn
            if not leave.again:
                break
            yield max(0, leave.wait - AHEAD)
        assert leave
        yield leave.wait + lot.randint(0, 10)
        leaves = clock.now
        left.append(leaves)
        yield lot.choice((20, 300, 1500))
        ledger.settle(members, Ending(Outcome.ACCEPTED, ids=[run], turn=turn, left=leaves), token=run)


@pytest.mark.parametrize("rate", [1, 2, 2.5, 5, 10, 12, 25])
def test_no_second_has_more_requests_than_the_rate(ledger: Ledger, clock: Clock, rate: float) -> None:
    """However many workers ask at once, take long to write, and hear late or early that their request arrived."""
    lot, left = random.Random(int(rate * 10)), list[int]()
    world = World(ledger, clock)
    runs = [world.sign_up(email=f"c{number}@example.org") for number in range(round(rate * 6) + 6)]
    began, count = clock.now, len(runs)
    events = [(began, number, worker(world, runs, rate, lot, left)) for number in range(40)]
    while events:
        clock.now, number, deeds = heapq.heappop(events)
        if (wait := next(deeds, None)) is not None:
            heapq.heappush(events, (clock.now + wait, number, deeds))
    left.sort()
    assert len(left) == count
    assert all(later - earlier > 1000 for earlier, later in zip(left, left[max(int(rate), 1) :], strict=False))
    allowed = int(rate / ceil(rate / 10)) * ceil(rate / 10)  # whole requests, in equal groups of at most ten
    assert (left[-1] - began) / 1000 < count / allowed * 1.2 + 2


def test_a_clock_set_back_does_not_block_turns(ledger: Ledger, clock: Clock) -> None:
    """Turns that were taken in what is now the future do not count."""
    assert ledger.pace("resend", 1, longest=1) == 0
    clock.advance(hours=-1)
    assert ledger.pace("resend", 1, longest=1) == 0
