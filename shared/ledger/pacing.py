"""Turns at a provider with a rate limit, shared by all processes through Redis."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from shared.ledger.client import Ledger

LONGEST = 3.0  # seconds to sleep before asking again: the provider may have told another process to hold back meanwhile


@dataclass(frozen=True)
class Pacer:
    """Waits until a request to a provider may go.

    Attributes:
        ledger: keeps the turns.
        provider: its name.
        rate: requests per second.
        sleep: takes seconds; a test can replace it.
    """

    ledger: Ledger
    provider: str
    rate: float
    sleep: Callable[[float], None] = time.sleep

    def wait(self) -> None:
        """Return when it is our turn."""
        while True:
            wait = self.ledger.pace(self.provider, self.rate, longest=LONGEST)
            self.sleep(min(abs(wait), LONGEST))
            if wait >= 0:
                return

    def hold(self, seconds: float) -> None:
        """Hold back all requests for a while."""
        self.ledger.hold(self.provider, seconds)
