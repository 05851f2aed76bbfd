"""The rows of a data source: its pages, and the keys by which they are found without a scan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from local.sandbox.notion.record import Record
from local.sandbox.notion.records import Records
from local.sandbox.notion.schema import Schema
from local.sandbox.notion.values import plain, search_key

_PAGES = "SELECT * FROM notion WHERE kind = 'page' AND parent = ?"
# The plus keeps SQLite from scanning the whole data source instead of using the key.
_PAGES_BY_KEY = """SELECT * FROM notion WHERE kind = 'page' AND +parent = ?
    AND position IN (SELECT page FROM notion_keys WHERE parent = ? AND property = ? AND key = ?)"""


def pages(
    records: Records,
    source: str,
    *,
    in_trash: bool | None = False,
    key: tuple[str, str] | None = None,
    beyond: float | None = None,
    oldest_first: bool = False,
) -> Iterator[Record]:
    """The pages of a data source, newest first by default.

    Args:
        records: the workspace.
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
    return map(Record.of, records.db.execute(f"{query} ORDER BY place {'ASC' if oldest_first else 'DESC'}", values))


def count(records: Records, source: str) -> int:
    """How many pages of a data source are not in the trash."""
    query = "SELECT count(*) FROM notion WHERE parent = ? AND kind = 'page' AND in_trash = 0"
    return int(records.db.execute(query, (source,)).fetchone()[0])


def ever(records: Records, source: str) -> int:
    """How many pages a data source has, those in the trash included."""
    return int(
        records.db.execute("SELECT count(*) FROM notion WHERE parent = ? AND kind = 'page'", (source,)).fetchone()[0]
    )


def index(records: Records, page: Record, schema: Schema) -> None:
    """Store the values by which a page is found.

    Args:
        records: the workspace.
        page: the page.
        schema: its data source's properties.
    """
    keys = {prop["id"]: search_key(prop, plain(prop, page)) for prop in schema.values()}
    rows = [(page.position, page.parent, prop_id, key) for prop_id, key in keys.items() if key is not None]
    records.db.execute("DELETE FROM notion_keys WHERE page = ?", (page.position,))
    records.db.executemany("INSERT INTO notion_keys VALUES (?, ?, ?, ?)", rows)
