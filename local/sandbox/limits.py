"""Limits that can be changed. Those of the rate: a window that slides over the requests.

Resend's is one second (https://resend.com/docs/api-reference/rate-limit), Notion's one minute, so short bursts pass
(https://developers.notion.com/reference/request-limits)."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass

DEFAULTS = {
    "resend_per_second": 2,
    "notion_per_second": 3,
    "notion_window_seconds": 60,
    "notion_search_lag_ms": 2000,
    "notion_query_rows": 10_000,
}
AT_LEAST = dict.fromkeys(DEFAULTS, 1) | {"notion_search_lag_ms": 0}


@dataclass(frozen=True)
class Admission:
    """The decision about one request.

    Attributes:
        accepted: whether it may proceed.
        limit: requests in a window.
        remaining: how many more fit into the window now.
        reset: whole seconds until the window has room again, at least 1.
    """

    accepted: bool
    limit: int
    remaining: int
    reset: int

    @property
    def headers(self) -> dict[str, str]:
        """The headers that Resend adds to every response, and `retry-after` on a refusal."""
        headers = {
            "ratelimit-limit": str(self.limit),
            "ratelimit-policy": f"{self.limit};w=1",
            "ratelimit-remaining": str(self.remaining),
            "ratelimit-reset": str(self.reset),
        }
        return headers if self.accepted else headers | {"retry-after": str(self.reset)}


class Limiter:
    """Accepts at most `per_second * window` requests in any window; a refused request does not count.

    Args:
        per_second: the limit; assign the attribute to change it.
        window: in seconds; assign the attribute to change it.
    """

    def __init__(self, per_second: int, window: int = 1) -> None:
        self.per_second = per_second
        self.window = window
        self._accepted: deque[float] = deque()
        self._lock = threading.Lock()

    def admit(self, now: float) -> Admission:
        """Decide about a request.

        Args:
            now: seconds on a clock that never goes back.
        """
        with self._lock:
            limit = self.per_second * self.window
            while self._accepted and now - self._accepted[0] >= self.window:
                self._accepted.popleft()
            accepted = len(self._accepted) < limit
            if accepted:
                self._accepted.append(now)
            # The place that must become free first; the window may hold more than a limit that was lowered.
            blocking = self._accepted[max(0, len(self._accepted) - limit)]
            reset = max(1, math.ceil(blocking + self.window - now))
            return Admission(accepted, limit, max(0, limit - len(self._accepted)), reset)

    def forget(self) -> None:
        """Empty the window."""
        with self._lock:
            self._accepted.clear()
