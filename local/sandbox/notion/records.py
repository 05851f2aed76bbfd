"""Everything in the workspace, in one table: pages, databases, data sources and blocks, as in Notion.

Nothing here commits or locks: a request runs as one transaction, see `Records.transaction`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from local.sandbox.store import Store

Kind = Literal["page", "database", "data_source", "block"]
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
_PAGES = "SELECT * FROM notion WHERE kind = 'page' AND parent = ?"
# The plus keeps SQLite from scanning the whole data source instead of using the key.
_PAGES_BY_KEY = """SELECT * FROM notion WHERE kind = 'page' AND +parent = ?
    AND position IN (SELECT page FROM notion_keys WHERE parent = ? AND property = ? AND key = ?)"""
_TABLES = ("notion", "notion_keys", "notion_layouts")


@dataclass(frozen=True)
class Record:
    """One object.

    Attributes:
        position: its place in the order of creation, from 1.
        parent: the id of its parent; None for the workspace.
        place: its place among its siblings; a block may be inserted between two others.
        created_at, edited_at: seconds since 1970.
        created_by, edited_by: ids of users.
        title: as plain text, for search.
        text: the data of its kind, as JSON; read it as `body`.
    """

    position: int
    id: str
    kind: Kind
    parent: str | None
    place: float
    created_at: float
    created_by: str
    edited_at: float
    edited_by: str
    in_trash: bool
    title: str
    text: str

    @cached_property
    def body(self) -> dict[str, Any]:
        """The data of its kind. Changes are stored only by `Records.save`."""
        found: dict[str, Any] = json.loads(self.text)
        return found


class Records:
    """The workspace's memory.

    Args:
        store: the sandbox's; its file, lock and clock are used.
    """

    def __init__(self, store: Store) -> None:
        self._db = store.db
        self._lock = store.lock
        self.clock = store.clock
        self._db.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One request: nothing else happens meanwhile, and an error undoes its changes."""
        with self._lock, self._db:
            yield

    def reset(self) -> None:
        """Forget everything."""
        with self.transaction():
            for table in _TABLES:
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - the names are those above

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
        position = int(self._db.execute("SELECT coalesce(max(position), 0) + 1 FROM notion").fetchone()[0])
        spot = float(position) if place is None else place
        record = Record(position, str(uuid.uuid4()), kind, parent, spot, now, by, now, by, False, title, _dumped(body))
        self._db.execute("INSERT INTO notion VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _row(record))
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
            text=_dumped(record.body),
        )
        self._db.execute("REPLACE INTO notion VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _row(changed))
        return changed

    def rewrite(self, record: Record) -> Record:
        """Store a changed body without marking it as an edit."""
        changed = replace(record, text=_dumped(record.body))
        if changed.text != record.text:
            self._db.execute("UPDATE notion SET text = ? WHERE position = ?", (changed.text, record.position))
        return changed

    def remove(self, records: Iterable[Record]) -> None:
        """Delete objects for good."""
        self._db.executemany("DELETE FROM notion WHERE position = ?", [(record.position,) for record in records])

    def get(self, object_id: str, *kinds: Kind) -> Record | None:
        """One object, if there is one with that id (and of one of these kinds)."""
        row = self._db.execute("SELECT * FROM notion WHERE id = ?", (object_id,)).fetchone()
        return _record(row) if row and (not kinds or row[2] in kinds) else None

    def children(self, parent: str, *kinds: Kind) -> list[Record]:
        """The children of an object that are not in the trash, in order."""
        query = "SELECT * FROM notion WHERE parent = ? AND in_trash = 0 ORDER BY place"
        return [record for row in self._db.execute(query, (parent,)) if (record := _record(row)).kind in kinds]

    def of_kind(self, kind: Kind) -> list[Record]:
        """Every object of a kind that is not in the trash, in the order of creation."""
        return [
            _record(row)
            for row in self._db.execute(
                "SELECT * FROM notion WHERE kind = ? AND in_trash = 0 ORDER BY position", (kind,)
            )
        ]

    def pages(
        self,
        source: str,
        *,
        in_trash: bool | None = False,
        key: tuple[str, str] | None = None,
        beyond: float | None = None,
        oldest_first: bool = False,
    ) -> Iterator[Record]:
        """The pages of a data source, newest first by default.

        Args:
            source: the data source's id.
            in_trash: those in the trash, those that are not, or (None) both.
            key: a property's id and a `search_key`: only pages that have it.
            oldest_first: reverse the order.
            beyond: only pages after the one at this place.
        """
        query = _PAGES_BY_KEY if key else _PAGES
        values: list[Any] = [source, source, *key] if key else [source]
        if in_trash is not None:
            query += " AND in_trash = ?"
            values.append(in_trash)
        if beyond is not None:
            query += f" AND place {'>' if oldest_first else '<'} ?"
            values.append(beyond)
        return map(_record, self._db.execute(f"{query} ORDER BY place {'ASC' if oldest_first else 'DESC'}", values))

    def count(self, source: str) -> int:
        """How many pages of a data source are not in the trash."""
        query = "SELECT count(*) FROM notion WHERE parent = ? AND kind = 'page' AND in_trash = 0"
        return int(self._db.execute(query, (source,)).fetchone()[0])

    def ever(self, source: str) -> int:
        """How many pages a data source has, those in the trash included."""
        return int(
            self._db.execute("SELECT count(*) FROM notion WHERE parent = ? AND kind = 'page'", (source,)).fetchone()[0]
        )

    def set_keys(self, page: Record, keys: dict[str, str]) -> None:
        """Store the texts by which a page is found.

        Args:
            page: the page.
            keys: the `search_key` by property id.
        """
        self._db.execute("DELETE FROM notion_keys WHERE page = ?", (page.position,))
        rows = [(page.position, page.parent, prop, key) for prop, key in keys.items()]
        self._db.executemany("INSERT INTO notion_keys VALUES (?, ?, ?, ?)", rows)

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
        return self._db.execute(
            f"{query} AND instr(lower(title), lower(?)) ORDER BY position", (created_until, words)
        ).fetchall()

    def layout(self, name: str) -> dict[str, Any] | None:
        """The response given when a layout was created."""
        row = self._db.execute("SELECT answer FROM notion_layouts WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def set_layout(self, name: str, answer: dict[str, Any]) -> None:
        """Store a layout."""
        self._db.execute("INSERT INTO notion_layouts VALUES (?, ?)", (name, _dumped(answer)))


def _dumped(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _row(record: Record) -> tuple[Any, ...]:
    return (
        record.position,
        record.id,
        record.kind,
        record.parent,
        record.place,
        record.created_at,
        record.created_by,
        record.edited_at,
        record.edited_by,
        record.in_trash,
        record.title,
        record.text,
    )


def _record(row: tuple[Any, ...]) -> Record:
    position, object_id, kind, parent, place, created_at, created_by, edited_at, edited_by, in_trash, title, text = row
    return Record(
        position,
        object_id,
        kind,
        parent,
        place,
        created_at,
        created_by,
        edited_at,
        edited_by,
        bool(in_trash),
        title,
        text,
    )
