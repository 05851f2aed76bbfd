"""What the Discord stand-in keeps across restarts: posted messages and deleted webhooks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from local.sandbox.emails import rfc3339
from local.sandbox.store import Store

_SCHEMA = """
CREATE TABLE IF NOT EXISTS discord (
    position INTEGER PRIMARY KEY, webhook TEXT NOT NULL, posted_at REAL NOT NULL, body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS discord_deleted (webhook TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_EPOCH = 1_420_070_400_000  # Discord's, in milliseconds: https://discord.com/developers/docs/reference#snowflakes


@dataclass(frozen=True)
class Message:
    """One message of a channel."""

    position: int
    webhook: str
    posted_at: float
    body: dict[str, Any]

    def as_object(self) -> dict[str, Any]:
        """As the API returns it."""
        return {
            "id": str((int(self.posted_at * 1000) - _EPOCH << 22) + self.position),
            "type": 0,
            "content": self.body.get("content") or "",
            "channel_id": self.webhook,
            "webhook_id": self.webhook,
            "author": {
                "id": self.webhook,
                "username": self.body.get("username") or "Evergreen",
                "avatar": None,
                "bot": True,
            },
            "embeds": [{"type": "rich"} | embed for embed in self.body.get("embeds") or []],
            "mentions": [],
            "mention_everyone": False,
            "timestamp": rfc3339(self.posted_at),
        }

    def as_entry(self) -> dict[str, Any]:
        """As `/discord.json` lists it: what the API returned, and which mentions were allowed."""
        return self.as_object() | {"allowed_mentions": self.body.get("allowed_mentions")}


class Messages:
    """The channel behind the webhooks.

    Args:
        store: whose file and clock are used.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        with store.lock:
            store.db.executescript(_SCHEMA)

    def post(self, webhook: str, body: dict[str, Any]) -> Message:
        """Keep a message.

        Args:
            webhook: the id of the webhook that it came by.
            body: what was posted.
        """
        now = self._store.clock()
        with self._store.lock, self._store.db as db:
            added = db.execute(
                "INSERT INTO discord (webhook, posted_at, body) VALUES (?, ?, ?)", (webhook, now, json.dumps(body))
            )
        return Message(int(added.lastrowid or 0), webhook, now, body)

    def all(self) -> list[Message]:
        """Every message, oldest first."""
        with self._store.lock:
            rows = self._store.db.execute(
                "SELECT position, webhook, posted_at, body FROM discord ORDER BY position"
            ).fetchall()
        return [Message(position, webhook, at, json.loads(body)) for position, webhook, at, body in rows]

    def delete_webhook(self, webhook: str) -> None:
        """Delete a webhook: no one can post with it from now on."""
        with self._store.lock, self._store.db as db:
            db.execute("INSERT OR IGNORE INTO discord_deleted VALUES (?)", (webhook,))

    def deleted(self, webhook: str) -> bool:
        """Whether a webhook was deleted; all others exist."""
        with self._store.lock:
            return (
                self._store.db.execute("SELECT 1 FROM discord_deleted WHERE webhook = ?", (webhook,)).fetchone()
                is not None
            )

    def reset(self) -> None:
        """Forget everything."""
        with self._store.lock, self._store.db as db:
            for table in ("discord", "discord_deleted"):
                db.execute(f"DELETE FROM {table}")  # noqa: S608 - the names are the two above
