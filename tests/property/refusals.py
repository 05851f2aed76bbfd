"""A Redis that refuses the next call, or whose answer is lost: full, read-only, unable to write to its disk,
unavailable, or asked twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps

from redis import Redis
from redis import exceptions as redis_errors

REFUSALS = ("full", "full", "read-only", "no disk", "away", "unanswered", "unanswered", "asked twice")
_NO_DISK = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."


class Refusals:
    """What the next calls meet, one each.

    Args:
        redis: the database; it is full, or the replica of a primary that is unreachable, for the length of one call.
    """

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.coming: deque[str] = deque()

    def times(self) -> int:
        """How often the next call is made: its client asks again by itself where the connection broke after it had
        asked."""
        return 2 if self.coming and self.coming[0] == "asked twice" else 1

    @contextmanager
    def met(self) -> Iterator[None]:
        """The length of a call; raises RedisError, after the call where only its answer is lost."""
        what = self.coming.popleft() if self.coming else "nothing"
        if what == "no disk":
            raise redis_errors.ResponseError(_NO_DISK)
        if what == "away":
            raise redis_errors.ConnectionError("nobody answers")
        with self._really(what):
            yield
        if what == "unanswered":
            raise redis_errors.TimeoutError("no answer")

    @contextmanager
    def _really(self, what: str) -> Iterator[None]:
        """Valkey itself refuses each write then, also where a script would swallow that."""
        if what == "full":
            self.redis.config_set("maxmemory", 1)
        elif what == "read-only":
            self.redis.replicaof("127.0.0.1", "1")
        try:
            yield
        finally:
            if what == "full":
                self.redis.config_set("maxmemory", 0)
            elif what == "read-only":
                self.redis.replicaof("NO", "ONE")


def may_be_refused(story: Callable[..., object]) -> Callable[..., None]:
    """A decision made here gets an error where Redis refuses, and is dropped."""

    @wraps(story)
    def told(*args: object, **given: object) -> None:
        with suppress(redis_errors.RedisError):
            story(*args, **given)

    return told
