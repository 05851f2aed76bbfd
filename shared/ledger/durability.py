"""Whether Redis can lose writes that it has confirmed.

If it can, no emails go in batches: Resend would not recognize an email of a lost batch by the email's own key."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast

from redis import Redis
from redis.exceptions import ResponseError

LASTS = 10.0  # seconds that an answer stays valid
_WANTED = {"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no"}


class Durability:
    """Asks Redis from time to time.

    Args:
        redis: a client that decodes answers to text.
        known: the answer, if Redis need not be asked.
    """

    def __init__(self, redis: Redis, known: bool | None = None) -> None:
        self._redis = redis
        self._holds = bool(known)
        self._asked = float("inf") if known is not None else float("-inf")

    def holds(self) -> bool:
        """Whether each write is on disk before Redis confirms it, and no replica could take over without the latest
        writes."""
        if time.monotonic() - self._asked >= LASTS:
            self._holds, self._asked = keeps_every_write(self._redis), time.monotonic()
        return self._holds


def keeps_every_write(redis: Redis) -> bool:
    """Ask Redis. If it does not say how it stores its data, it counts as one that may lose some.

    Args:
        redis: a client that decodes answers to text.
    """
    try:
        known = cast(Mapping[str, str], redis.config_get(*_WANTED))
        replication = cast(Mapping[str, Any], redis.info("replication"))
    except ResponseError:  # managed services forbid CONFIG
        return False
    return all(known.get(name) == value for name, value in _WANTED.items()) and not replication.get("connected_slaves")
