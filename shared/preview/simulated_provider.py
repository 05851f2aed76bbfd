"""The provider of a simulation: its rate, its daily quota and its outages."""

from __future__ import annotations

import math
from collections import deque

from shared.domain import timing
from shared.ledger.decisions import BATCH
from shared.preview.simulation_types import Conditions, Outcome

APART = 1015  # milliseconds after which a second's turns at the provider are free again: slightly more than a second
AT_ONCE = 10  # turns at most that may follow one another at once


class Provider:
    """When a request is accepted, and for how many emails. Instants are milliseconds since 1970 UTC.

    Args:
        conditions: the rate, the quota and the outages.
        outcome: counts what was sent on each day, and is told which days are full.
    """

    def __init__(self, conditions: Conditions, outcome: Outcome) -> None:
        self._quota, self._outcome = conditions.daily_quota, outcome
        self._outages = sorted(conditions.outages)
        groups = max(math.ceil(conditions.rate / AT_ONCE), 1)
        at_once = max(int(conditions.rate / groups), 1)
        self._apart = APART / min(groups, conditions.rate)
        self._turns = deque([0.0] * at_once, maxlen=at_once)  # when each may be taken again

    def free_at(self, now: int) -> int:
        """The first time from now on at which a request is accepted."""
        at = max(now, math.ceil(self._turns[0]))
        while (again := self._refuses_until(at)) is not None:
            at = again
        return at

    def _refuses_until(self, at: int) -> int | None:
        """The end of the outage or of the exhausted quota at an instant; None if neither is the case."""
        end = next((end for begin, end in self._outages if begin <= at < end), None)
        if end is None and not self.left(at):
            self._outcome.full_days.add(at // timing.DAY)
            return (at // timing.DAY + 1) * timing.DAY
        return end

    def left(self, at: int) -> int:
        """Emails still accepted on the day of an instant; a whole batch if there is no quota."""
        return max(0, self._quota - self._outcome.days[at // timing.DAY]) if self._quota else BATCH

    def take_turn(self, at: int) -> None:
        """Use one request of the rate."""
        self._turns.append(at + self._apart)
