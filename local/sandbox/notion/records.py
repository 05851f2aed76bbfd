"""Everything in the workspace, in one table: pages, databases, data sources and blocks, as in Notion.

Nothing here commits or locks: a request runs as one transaction, see `Records.transaction`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from local.sandbox.notion.record import Kind, Record, dumped
from local.sandbox.store import Store

_SCHEMA = """
CREATE TABLE IF NOT EXISTS notion (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, parent TEXT, place REAL NOT NULL,
    created_at REAL NOT NULL, created_by TEXT NOT NULL, edited_at REAL NOT NULL, edited_by TEXT NOT NULL,
    in_trash INTEGER NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS notion_by_parent ON notion (parent, kind, place, in_trash);
CREATE TABLE IF NOT EXISTS notion_keys (page INTEGER, parent TEXT, property TEXT, key TEXT);
CREATE INDEX IF NOT EXISTS notion_keys_by_key ON notion_keys (parent, property, key);
CREATE INDEX IF NOT EXISTS notion_keys_by_page ON notion_keys (page);
CREATE TABLE IF NOT EXISTS notion_layouts (name TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID;
"""
_TABLES = ("notion", "notion_keys", "notion_layouts")


class Records:
    """The workspace's memory. `db` is for `rows`, which reads and indexes the pages of a data source.

    Args:
        store: the sandbox's; its file, lock and clock are used.
    """

    def __init__(self, store: Store) -> None:
        self.db = store.db
        self._lock = store.lock
        self.clock = store.clock
        self._found: tuple[int, str, list[str]] = (-1, "", [])
        self.db.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One request: nothing else happens meanwhile, and an error undoes its changes."""
        with self._lock, self.db:
            yield

    def reset(self) -> None:
        """Forget everything."""
        with self.transaction():
            for table in _TABLES:
                self.db.execute(f"DELETE FROM {table}")  # noqa: S608 - the names are those above

    def insert(
        self,
        kind: Kind,
        parent: str | None,
        body: dict[str, Any],
        *,
        by: str,
        title: str = "",
        place: float | None = None,
    ) -> Record:
        """Add an object.

        Args:
            kind: its kind.
            parent: the id of its parent.
            body: the data of its kind.
            by: the user who creates it.
            title: as plain text.
            place: its place among its siblings; the last one by default.
        """
        now = self.clock()
        position = int(self.db.execute("SELECT coalesce(max(position), 0) + 1 FROM notion").fetchone()[0])
        spot = float(position) if place is None else place
        record = Record(position, str(uuid.uuid4()), kind, parent, spot, now, by, now, by, False, title, dumped(body))
        self.db.execute("INSERT INTO notion VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", record.row())
        return record

    def save(self, record: Record, *, by: str, title: str | None = None, in_trash: bool | None = None) -> Record:
        """Store an object with its changed body.

        Args:
            record: the object.
            by: the user who changed it.
            title: the new title, if it changed.
            in_trash: whether it is now in the trash, if that changed.
        """
        changed = replace(
            record,
            edited_at=self.clock(),
            edited_by=by,
            title=record.title if title is None else title,
            in_trash=record.in_trash if in_trash is None else in_trash,
            text=dumped(record.body),
        )
        self.db.execute("REPLACE INTO notion VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", changed.row())
        return changed

    def rewrite(self, record: Record) -> Record:
        """Store a changed body without marking it as an edit."""
        changed = replace(record, text=dumped(record.body))
        if changed.text != record.text:
            self.db.execute("UPDATE notion SET text = ? WHERE position = ?", (changed.text, record.position))
        return changed

    def remove(self, records: Iterable[Record]) -> None:
        """Delete objects for good."""
        self.db.executemany("DELETE FROM notion WHERE position = ?", [(record.position,) for record in records])

    def get(self, object_id: str, *kinds: Kind) -> Record | None:
        """One object, if there is one with that id (and of one of these kinds)."""
        row = self.db.execute("SELECT * FROM notion WHERE id = ?", (object_id,)).fetchone()
        return Record.of(row) if row and (not kinds or row[2] in kinds) else None

    def children(self, parent: str, *kinds: Kind) -> list[Record]:
        """The children of an object that are not in the trash, in order."""
        query = "SELECT * FROM notion WHERE parent = ? AND in_trash = 0 ORDER BY place"
        return [record for row in self.db.execute(query, (parent,)) if (record := Record.of(row)).kind in kinds]

    def of_kind(self, kind: Kind) -> list[Record]:
        """Every object of a kind that is not in the trash, in the order of creation."""
        return [
            Record.of(row)
            for row in self.db.execute(
                "SELECT * FROM notion WHERE kind = ? AND in_trash = 0 ORDER BY position", (kind,)
            )
        ]

    def found(self, asked: str) -> list[str] | None:
        """What `keep_found` kept, unless anything has changed since: a long result costs one scan, not one a page."""
        changes, query, ids = self._found
        return ids if (changes, query) == (self.db.total_changes, asked) else None

    def keep_found(self, asked: str, ids: list[str]) -> None:
        """Keep the result of the latest query.

        Args:
            asked: the query.
            ids: of all its matches, in order.
        """
        self._found = (self.db.total_changes, asked, ids)

    def titled(self, words: str, kinds: Iterable[Kind], created_until: float) -> list[tuple[str, float]]:
        """Search results: id and last edit of everything outside the trash with these words in its title.

        Args:
            words: part of the title, in any case; empty for everything.
            kinds: what to look for.
            created_until: only objects created up to this time, in seconds since 1970.
        """
        wanted = ", ".join(f"'{kind}'" for kind in kinds)
        # our own kinds
        query = f"SELECT id, edited_at FROM notion WHERE kind IN ({wanted}) AND in_trash = 0 AND created_at <= ?"  # noqa: S608
        return self.db.execute(
            f"{query} AND instr(lower(title), lower(?)) ORDER BY position", (created_until, words)
        ).fetchall()

    def layout(self, name: str) -> dict[str, Any] | None:
        """The response given when a layout was created."""
        row = self.db.execute("SELECT answer FROM notion_layouts WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def set_layout(self, name: str, answer: dict[str, Any]) -> None:
        """Store a layout."""
        self.db.execute("INSERT INTO notion_layouts VALUES (?, ?)", (name, dumped(answer)))
