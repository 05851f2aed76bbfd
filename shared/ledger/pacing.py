"""Turns at a provider that allows so many requests a second, shared by all processes through Redis."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from shared.ledger.client import Ledger

LONGEST = 3.0  # seconds to sleep before asking again: another process may have been told to hold back meanwhile


@dataclass(frozen=True)
class Pacer:
    """Waits until a provider may be asked.

    Attributes:
        ledger: keeps the turns.
        provider: whose.
        rate: requests a second.
        sleep: takes seconds; a test may not want to wait.
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
        """Let nobody ask for a while."""
        self.ledger.hold(self.provider, seconds)
