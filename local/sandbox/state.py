"""The parts of a running sandbox, and what concerns all of them: limits, starting afresh, stopping."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local.sandbox.events import Events
from local.sandbox.faults import Faults
from local.sandbox.limits import DEFAULTS, Limiter
from local.sandbox.store import Store


@dataclass(frozen=True)
class State:
    """What the providers' apps, the control routes and the pages share."""

    store: Store
    faults: Faults
    events: Events
    resend_limiter: Limiter

    def limits(self) -> dict[str, int]:
        """The limits in force, in requests per second."""
        return DEFAULTS | self.store.limits()

    def set_limits(self, limits: dict[str, int]) -> None:
        """Change limits.

        Args:
            limits: requests per second by name.
        """
        self.store.set_limits(limits)
        self.resend_limiter.per_second = self.limits()["resend_per_second"]

    def reset(self) -> None:
        """Start afresh: no emails, no keys, no faults, the real limits."""
        self.faults.remove()
        self.events.forget()
        self.store.reset()
        self.set_limits({})
        self.resend_limiter.forget()

    def close(self) -> None:
        """Let go of held connections, threads and the file."""
        self.faults.stopping.set()
        self.events.close()
        self.store.close()


def open_state(directory: Path | None, webhook_url: str = "", webhook_secret: str = "", clock: Callable[[], float] = time.time) -> State:
    """Put the parts together, as they were when the sandbox last stopped.

    Args:
        directory: where `sandbox.db` is kept; None keeps everything in memory.
        webhook_url: where Resend's events go; none are sent without it and the secret.
        webhook_secret: the `whsec_…` secret that signs them.
        clock: tells the time in seconds since 1970.
    """
    store = Store(directory / "sandbox.db" if directory else None, clock)
    state = State(store, Faults(), Events(webhook_url, webhook_secret), Limiter(DEFAULTS["resend_per_second"]))
    state.set_limits({})
    return state
