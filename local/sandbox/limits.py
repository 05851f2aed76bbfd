"""Requests per second: a window of one second that slides, as Resend counts them (https://resend.com/docs/api-reference/rate-limit)."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass

DEFAULTS = {"resend_per_second": 2, "notion_per_second": 3}


@dataclass(frozen=True)
class Admission:
    """What was decided about one request.

    Attributes:
        accepted: whether it may go on.
        limit: requests per second.
        remaining: how many more fit into the window now.
        reset: whole seconds until the window has room again, at least 1.
    """

    accepted: bool
    limit: int
    remaining: int
    reset: int

    @property
    def headers(self) -> dict[str, str]:
        """The headers that Resend puts on every answer, and `retry-after` on a refusal."""
        headers = {
            "ratelimit-limit": str(self.limit),
            "ratelimit-policy": f"{self.limit};w=1",
            "ratelimit-remaining": str(self.remaining),
            "ratelimit-reset": str(self.reset),
        }
        return headers if self.accepted else headers | {"retry-after": str(self.reset)}


class Limiter:
    """Accepts at most `per_second` requests in any window of one second; a refused request takes no place.

    Args:
        per_second: the limit; assign the attribute to change it.
    """

    def __init__(self, per_second: int) -> None:
        self.per_second = per_second
        self._accepted: deque[float] = deque()
        self._lock = threading.Lock()

    def admit(self, now: float) -> Admission:
        """Decide about a request.

        Args:
            now: seconds on a clock that never goes back.
        """
        with self._lock:
            while self._accepted and now - self._accepted[0] >= 1:
                self._accepted.popleft()
            accepted = len(self._accepted) < self.per_second
            if accepted:
                self._accepted.append(now)
            # The place that must become free first; the window may hold more than a limit that was lowered.
            blocking = self._accepted[max(0, len(self._accepted) - self.per_second)]
            reset = max(1, math.ceil(blocking + 1 - now))
            return Admission(accepted, self.per_second, max(0, self.per_second - len(self._accepted)), reset)

    def forget(self) -> None:
        """Empty the window."""
        with self._lock:
            self._accepted.clear()
