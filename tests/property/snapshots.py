"""The ledger at one instant, read in one call: every check and every choice of the property test looks at this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from redis import Redis

from shared.ledger import ids

OPEN_STATES = ("scheduled", "sending")
HOLDING = ("active", "paused")
BAD_ENDS = ("failed", "in-doubt")
ASK = "confirm-"  # how the jobs begin that ask for confirmations

_READ = """
local found, last = {}, redis.call('HGETALL', 'eg:runs')
for i = 1, #last, 2 do
  for number = 1, tonumber(last[i + 1]) do
    local name = last[i] .. '-' .. number
    found[#found + 1] = {name, redis.call('HGETALL', 'eg:enrollment:' .. name)}
  end
end
return {found, redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES'), redis.call('LRANGE', KEYS[2], 0, -1),
  redis.call('ZRANGE', KEYS[3], 0, -1, 'WITHSCORES'), redis.call('HGETALL', KEYS[4])}
"""


def _pairs(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


@dataclass(frozen=True)
class Snapshot:
    """What is in the ledger.

    Attributes:
        runs: every enrollment that is kept, as its hash, by id.
        scheduled: the jobs on the schedule, and when each is due, in seconds since 1970 UTC.
        queue: the jobs on the queue that look at an email.
        open: the email ids that are looked at, and when, in milliseconds since 1970 UTC.
        gate: the gate's fields.
    """

    runs: Mapping[str, Mapping[str, str]]
    scheduled: Mapping[str, float]
    queue: list[str]
    open: Mapping[str, float]
    gate: Mapping[str, str]

    @cached_property
    def steps(self) -> dict[str, dict[int, dict[str, str]]]:
        """The steps of every enrollment, by its id and their number."""
        return {name: steps(run) for name, run in self.runs.items()}

    @cached_property
    def states(self) -> dict[str, str]:
        """The state of every step, by email id."""
        return {ids.email_id(name, n): step["state"] for name, found in self.steps.items() for n, step in found.items()}

    def in_state(self, *states: str) -> list[str]:
        """The enrollments in one of these states."""
        return [name for name, run in self.runs.items() if run["state"] in states]


def steps(run: Mapping[str, str]) -> dict[int, dict[str, str]]:
    """The steps in an enrollment's hash, by number."""
    found: dict[int, dict[str, str]] = {int(number): {} for number in run["steps"].split(",") if number}
    for key, value in run.items():
        number, dot, name = key.partition(".")
        if dot and number.isdigit():
            found[int(number)][name] = value
    return found


def snapshot(redis: Redis) -> Snapshot:
    """Read the ledger."""
    keys = (ids.SCHEDULED, ids.QUEUE, ids.OPEN, ids.GATE)
    found, scheduled, queue, opened, gate = _answer(redis, keys)
    runs = {name: _pairs(flat) for name, flat in found if flat}
    scores = [{member: float(score) for member, score in _pairs(flat).items()} for flat in (scheduled, opened)]
    looks = [job for job in queue if not job.startswith(ASK)]
    return Snapshot(runs, scores[0], looks, scores[1], _pairs(gate))


def _answer(redis: Redis, keys: tuple[str, ...]) -> Any:
    return redis.eval(_READ, len(keys), *keys)
