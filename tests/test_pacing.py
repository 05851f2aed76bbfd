"""Turns at a provider: never more often than its rate, whoever asks."""

from __future__ import annotations

from shared.ledger import Ledger
from shared.pacing import Pacer
from tests.conftest import Clock


def test_notion_is_asked_three_times_a_second_at_the_most(ledger: Ledger, clock: Clock) -> None:
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


def test_a_provider_that_asks_for_it_is_left_alone(ledger: Ledger, clock: Clock) -> None:
    """After a hold everybody waits it out, in short naps."""
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        clock.advance(seconds=seconds)

    pacer, began = Pacer(ledger, "notion", 3, sleep=sleep), clock.now
    pacer.hold(10)
    pacer.wait()
    assert clock.now == began + 10_000
    assert max(naps) <= 3
