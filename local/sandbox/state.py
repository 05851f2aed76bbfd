"""The parts of a running sandbox, and what they share: limits, reset, stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local.sandbox.discord.messages import Messages
from local.sandbox.faults import Faults
from local.sandbox.limits import DEFAULTS, Limiter
from local.sandbox.notion.records import Records
from local.sandbox.resend.events import Events
from local.sandbox.store import Store


@dataclass(frozen=True)
class State:
    """Shared by the providers' apps, the control routes and the pages."""

    store: Store
    faults: Faults
    events: Events
    resend_limiter: Limiter
    notion_limiter: Limiter
    notion: Records
    discord: Messages

    def limits(self) -> dict[str, int]:
        """The limits in force."""
        return DEFAULTS | self.store.limits()

    def set_limits(self, limits: dict[str, int]) -> None:
        """Change limits.

        Args:
            limits: by name.
        """
        self.store.set_limits(limits)
        now = self.limits()
        self.resend_limiter.per_second = now["resend_per_second"]
        self.notion_limiter.per_second = now["notion_per_second"]
        self.notion_limiter.window = now["notion_window_seconds"]

    def reset(self) -> None:
        """Reset: no emails, no keys, nothing in Notion or Discord, no faults, the real limits."""
        self.faults.remove()
        self.events.forget()
        self.store.reset()
        self.notion.reset()
        self.discord.reset()
        self.set_limits({})
        self.resend_limiter.forget()
        self.notion_limiter.forget()

    def close(self) -> None:
        """Release held connections, threads and the file."""
        self.faults.stopping.set()
        self.events.close()
        self.store.close()


def open_state(
    directory: Path | None, webhook_url: str = "", webhook_secret: str = "", clock: Callable[[], float] = time.time
) -> State:
    """Build the parts, with the state of the last run.

    Args:
        directory: where `sandbox.db` is kept; None keeps everything in memory.
        webhook_url: where Resend's events are posted; none without it and the secret.
        webhook_secret: the `whsec_…` secret that signs them.
        clock: returns the time in seconds since 1970.
    """
    store = Store(directory / "sandbox.db" if directory else None, clock)
    limiters = (
        Limiter(DEFAULTS["resend_per_second"]),
        Limiter(DEFAULTS["notion_per_second"], DEFAULTS["notion_window_seconds"]),
    )
    state = State(store, Faults(), Events(webhook_url, webhook_secret), *limiters, Records(store), Messages(store))
    state.set_limits({})
    return state
