"""What the sandbox keeps across restarts: accepted emails, responses by idempotency key, and limits, in one SQLite
file.

Notion's objects are in the same file; see `notion/records.py`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.sandbox.emails import Email

_SCHEMA = """
CREATE TABLE IF NOT EXISTS emails (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, received_at REAL NOT NULL, recipients INTEGER NOT NULL,
    idempotency_key TEXT, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS emails_by_time ON emails (received_at, recipients);
CREATE TABLE IF NOT EXISTS answers (
    endpoint TEXT, key TEXT, fingerprint TEXT NOT NULL, answer TEXT NOT NULL, answered_at REAL NOT NULL,
    PRIMARY KEY (endpoint, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS limits (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
SHOW_REFUSED = 20
_EMAIL = "SELECT position, id, received_at, idempotency_key, body FROM emails"


@dataclass(frozen=True)
class RefusedEmail:
    """An email that Resend would not take: to whom, about what, why, and when (seconds since 1970)."""

    recipients: str
    subject: str
    why: str
    at: float


@dataclass(frozen=True)
class Answer:
    """A finished request that had an idempotency key.

    Attributes:
        endpoint: the path it was posted to; Resend separates keys by endpoint.
        key: the idempotency key.
        fingerprint: a digest of the payload.
        answer: the JSON response.
    """

    endpoint: str
    key: str
    fingerprint: str
    answer: str


class Store:
    """The sandbox's storage. Thread-safe.

    Args:
        path: the SQLite file, or None to keep everything in memory.
        clock: returns the time in seconds since 1970.

    Attributes:
        refused: the latest emails that were refused, the latest first; only until the sandbox stops.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.time) -> None:
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self.clock = clock
        self.refused: deque[RefusedEmail] = deque(maxlen=SHOW_REFUSED)
        self.db = sqlite3.connect(path or ":memory:", check_same_thread=False)
        # Survives a killed process, which is enough for a stand-in; a sync would only disturb measurements on the same
        # disk.
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.executescript(_SCHEMA)

    def close(self) -> None:
        """Write everything to the file and close it."""
        with self.lock:
            self.db.close()

    def reset(self) -> None:
        """Forget everything."""
        self.refused.clear()
        with self.lock, self.db:
            for table in ("emails", "answers", "limits"):
                self.db.execute(f"DELETE FROM {table}")  # noqa: S608 - the names are the three above

    def accept(self, new: Sequence[tuple[str, dict[str, Any]]], answer: Answer | None, key: str | None) -> list[Email]:
        """Store emails and the response, both or neither.

        Args:
            new: an id and a body for each email, in order.
            answer: the response for repeated requests; None for a request without a key.
            key: the idempotency key to show in the outbox.
        """
        with self.lock, self.db:
            now = self.clock()
            first = self.count() + 1
            emails = [Email(first + index, email_id, now, key, body) for index, (email_id, body) in enumerate(new)]
            self.db.executemany("INSERT INTO emails VALUES (?, ?, ?, ?, ?, ?)", [_row(email) for email in emails])
            if answer:
                values = (answer.endpoint, answer.key, answer.fingerprint, answer.answer, now)
                self.db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", values)
        return emails

    def answer(self, endpoint: str, key: str, ttl: float) -> Answer | None:
        """The response stored for a key, unless it is too old.

        Args:
            endpoint: the path it was posted to.
            key: the idempotency key.
            ttl: how many seconds a response is valid.
        """
        query = (
            "SELECT endpoint, key, fingerprint, answer FROM answers WHERE endpoint = ? AND key = ? AND answered_at > ?"
        )
        with self.lock:
            row = self.db.execute(query, (endpoint, key, self.clock() - ttl)).fetchone()
        return Answer(*row) if row else None

    def count(self) -> int:
        """How many emails were accepted."""
        with self.lock:
            return int(self.db.execute("SELECT coalesce(max(position), 0) FROM emails").fetchone()[0])

    def recipients_since(self, start: float) -> int:
        """How many recipients the emails accepted since an instant had.

        Args:
            start: seconds since 1970.
        """
        with self.lock:
            return int(
                self.db.execute(
                    "SELECT coalesce(sum(recipients), 0) FROM emails WHERE received_at >= ?", (start,)
                ).fetchone()[0]
            )

    def email(self, email_id: str) -> Email | None:
        """One email, if there is one with that id."""
        found = self._emails(f"{_EMAIL} WHERE id = ?", (email_id,))
        return found[0] if found else None

    def since(self, index: int, limit: int) -> list[Email]:
        """The emails in the order of acceptance.

        Args:
            index: how many to skip at the start.
            limit: the most to return.
        """
        return self._emails(f"{_EMAIL} WHERE position > ? ORDER BY position LIMIT ?", (index, limit))

    def newest(
        self, limit: int, *, before: int | None = None, after: int | None = None, search: str = ""
    ) -> list[Email]:
        """A page of emails, newest first.

        Args:
            limit: the most to return.
            before: only emails accepted before the one at this position.
            after: only emails accepted after the one at this position, nearest to it.
            search: only emails with this text in the subject or a recipient.
        """
        like = "%" + search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        query = f"{_EMAIL} WHERE position < ? AND position > ?"
        values: list[Any] = [2**62 if before is None else before, after or 0]
        if search:
            query += (
                " AND (json_extract(body, '$.subject') LIKE ? ESCAPE '\\' OR json_extract(body, '$.to') LIKE ? ESCAPE "
                "'\\')"
            )
            values += [like, like]
        if after is not None:
            return self._emails(f"{query} ORDER BY position LIMIT ?", (*values, limit))[::-1]
        return self._emails(f"{query} ORDER BY position DESC LIMIT ?", (*values, limit))

    def limits(self) -> dict[str, int]:
        """The limits that were set."""
        with self.lock:
            return dict(self.db.execute("SELECT * FROM limits"))

    def set_limits(self, limits: dict[str, int]) -> None:
        """Store limits.

        Args:
            limits: by name, as in `limits.DEFAULTS`.
        """
        with self.lock, self.db:
            self.db.executemany("INSERT OR REPLACE INTO limits VALUES (?, ?)", limits.items())

    def _emails(self, query: str, values: tuple[Any, ...]) -> list[Email]:
        with self.lock:
            rows = self.db.execute(query, values).fetchall()
        return [Email(position, email_id, at, key, json.loads(body)) for position, email_id, at, key, body in rows]


def _row(email: Email) -> tuple[int, str, float, int, str | None, str]:
    recipients = sum(len(email.mailboxes(field)) for field in ("to", "cc", "bcc"))
    body = json.dumps(email.body, separators=(",", ":"))
    return email.position, email.id, email.received_at, recipients, email.idempotency_key, body
