"""Keys leave by the clock of the test.

By the machine's own, one that is slow today would see another story than yesterday."""

from __future__ import annotations

import math
from typing import cast

from redis import Redis

from tests.conftest import Clock

FAR = 9_000_000_000_000  # when Redis itself would let them go, in milliseconds since 1970 UTC

# Returns each key that will leave, and in how many milliseconds; -1 where that is known already.
_TAKE_OVER = """
local found = {}
for _, key in ipairs(redis.call('KEYS', 'eg:*')) do
  local at, left = redis.call('PEXPIRETIME', key), -1
  if at >= 0 then
    if at ~= tonumber(ARGV[1]) then
      left = redis.call('PTTL', key)
      redis.call('PEXPIREAT', key, ARGV[1])
    end
    found[#found + 1] = {key, left}
  end
end
return found
"""


class Expiry:
    """When each key leaves.

    Args:
        redis: the database.
        clock: the time that counts.

    Attributes:
        at: milliseconds since 1970 UTC, by key.
    """

    def __init__(self, redis: Redis, clock: Clock) -> None:
        self.redis = redis
        self.clock = clock
        self.at: dict[str, int] = {}

    def take_over(self) -> None:
        """Learn what was given a time to live since; whole seconds, for some milliseconds of it have passed on the
        machine. What got another name meanwhile stays."""
        found = cast(list[tuple[str, int]], self.redis.eval(_TAKE_OVER, 0, str(FAR)))
        self.at = {
            key: self.at.get(key, FAR) if left < 0 else self.clock.now + math.ceil(left / 1000) * 1000
            for key, left in found
        }

    def let_go(self) -> None:
        """Remove the keys whose time is over."""
        if over := [key for key, at in self.at.items() if at <= self.clock.now]:
            self.redis.delete(*over)
