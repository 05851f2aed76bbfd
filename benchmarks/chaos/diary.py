"""What the harness itself wrote down: every request that was acknowledged, and every email that the provider took."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import requests

What = Literal["enrolled", "paused", "resumed", "ended"]
LOOK_EVERY = 0.5  # seconds


def now() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Entry:
    """One acknowledged request. Instants are milliseconds since 1970 UTC.

    Attributes:
        enrollment: the run that it is about.
        asked: when it was posted for the first time; from here on it may have taken effect.
        at: when it was acknowledged; from here on it has.
        steps: for `enrolled`: the emails that are due to the customer.
        why: for `ended`.
    """

    what: What
    enrollment: str
    asked: int
    at: int
    steps: tuple[int, ...] = ()
    why: str = ""


class Diary:
    """The acknowledged requests, each a line of a file as soon as it is acknowledged.

    Args:
        file: where they are kept; overwritten.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("", encoding="utf-8")

    def write(self, entry: Entry) -> None:
        """Keep an entry."""
        with self._lock, self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(entry)) + "\n")

    def entries(self) -> list[Entry]:
        """All of them, in the order of their acknowledgement."""
        with self._lock:
            lines = self._file.read_text(encoding="utf-8").splitlines()
        found = [Entry(**known | {"steps": tuple(known["steps"])}) for known in map(json.loads, lines)]
        return sorted(found, key=lambda entry: entry.at)


@dataclass(frozen=True)
class Accepted:
    """An email that the provider took.

    Attributes:
        id: which email it is, by its tag.
        at: when, in milliseconds since 1970 UTC.
        key: the idempotency key that it came with.
        unsubscribe: the link in its header.
    """

    id: str
    to: str
    at: int
    key: str
    unsubscribe: str


class Inbox:
    """What the provider has taken so far, in that order.

    Args:
        sandbox_url: where it is asked, every half second once `start` was called.
    """

    def __init__(self, sandbox_url: str) -> None:
        self._url = f"{sandbox_url}/outbox.json"
        self.emails: list[Accepted] = []
        self._changed = threading.Condition()

    def start(self) -> None:
        """Look from now on, as long as this process lives."""
        threading.Thread(target=self._run, daemon=True).start()

    def look(self) -> None:
        """See what is new."""
        with self._changed:
            found = requests.get(self._url, params={"since": len(self.emails)}, timeout=30).json()
            self.emails += [_accepted(email) for email in found]
            self._changed.notify_all()

    def until(self, condition: Callable[[list[Accepted]], bool], within: float) -> bool:
        """Wait until a condition on the emails holds; returns whether it does within this many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self.emails), within)

    def to(self, address: str) -> list[Accepted]:
        """One customer's."""
        return [email for email in self.emails if email.to == address]

    def _run(self) -> None:
        while True:
            with suppress(requests.RequestException):  # the sandbox is busy; the next look sees the same
                self.look()
            time.sleep(LOOK_EVERY)


def _accepted(email: dict[str, Any]) -> Accepted:
    return Accepted(
        id=next(tag["value"] for tag in email["tags"] if tag["name"] == "email_id"),
        to=email["to"][0],
        at=round(datetime.fromisoformat(email["received_at"]).timestamp() * 1000),
        key=email["idempotency_key"] or "",
        unsubscribe=email["headers"].get("List-Unsubscribe", "").strip("<>"),
    )
