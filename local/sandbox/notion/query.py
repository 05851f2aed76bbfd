"""Querying a data source: filter, sorts, and pages of at most 100 of at most 10,000
(https://developers.notion.com/reference/query-a-data-source)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from local.sandbox.notion import filters
from local.sandbox.notion.objects import listed, page_object
from local.sandbox.notion.records import Record, Records
from local.sandbox.notion.schema import Schema, find
from local.sandbox.notion.values import Property, plain
from local.sandbox.notion.wording import an_array, an_object, expect, invalid, only, should_be

PAGE = 100
ROWS = 10_000
_INCOMPLETE = {"request_status": {"type": "incomplete", "incomplete_reason": "query_result_limit_reached"}}

Key = Callable[[Record], Any]


def page_size(value: Any, path: str) -> int:
    """How many results a response may have.

    Args:
        value: as sent in a body or a query; None for the maximum.
        path: where it is.
    """
    size = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if size is None or (size == 0 and not isinstance(size, bool)):
        return PAGE
    if isinstance(size, bool) or not isinstance(size, int):
        raise should_be(path, "a number or `undefined`", value)
    if not 0 < size <= PAGE:
        raise should_be(path, f"≤ `{PAGE}`" if size > 0 else "≥ `1`", size)
    return size


def cut(ids: list[str], size: int, cursor: Any) -> tuple[list[str], str | None]:
    """A page of results, and the cursor of the next one: the id it starts with.

    Args:
        ids: every result in order.
        size: how many at most.
        cursor: where to start, as sent; None for the beginning.
    """
    if cursor is not None and cursor not in ids:
        raise invalid(f"The start_cursor provided is invalid: {cursor}")
    start = 0 if cursor is None else ids.index(cursor)
    after = ids[start + size : start + size + 1]
    return ids[start : start + size], after[0] if after else None


def query(records: Records, source: Record, body: dict[str, Any], wanted: Collection[str]) -> dict[str, Any]:
    """`POST /data_sources/{id}/query`.

    Args:
        records: the workspace.
        source: the data source.
        body: the request.
        wanted: names or ids of the properties to return; empty for all.
    """
    only(body, ("filter", "sorts", "start_cursor", "page_size", "archived", "in_trash", "result_type"))
    schema: Schema = source.body["properties"]
    size = page_size(body.get("page_size"), "body.page_size")
    matches = filters.compiled(body["filter"], schema, records.clock()) if body.get("filter") else None
    key = filters.key_in(body["filter"], schema) if matches else None
    in_trash = bool(body.get("in_trash") or body.get("archived"))
    sorts = [
        _sort(one, schema, f"body.sorts[{index}]")
        for index, one in enumerate(an_array(body.get("sorts") or [], "body.sorts"))
    ]
    found = [
        (page.id, [sort_key(page) for sort_key, _ in sorts])
        for page in records.pages(source.id, in_trash=in_trash, key=key)
        if matches is None or matches(page)
    ]
    for index in reversed(range(len(sorts))):
        found = _sorted(found, index, descending=sorts[index][1])
    ids, following = cut([page_id for page_id, _ in found[:ROWS]], size, body.get("start_cursor"))
    results = [page_object(records, page, wanted, schema) for page_id in ids if (page := records.get(page_id))]
    return listed("page_or_data_source", results, following) | (_INCOMPLETE if len(found) > ROWS else {})


def _sorted(found: list[tuple[str, list[Any]]], index: int, *, descending: bool) -> list[tuple[str, list[Any]]]:
    """Sort by one of the keys, keeping the order of equal ones, with empty ones last in either direction."""
    full = [row for row in found if row[1][index] is not None]
    full.sort(key=lambda row: row[1][index], reverse=descending)
    return full + [row for row in found if row[1][index] is None]


def _sort(given: Any, schema: Schema, path: str) -> tuple[Key, bool]:
    """The sort key, and whether to sort in descending order."""
    sort = an_object(given, path)
    only(sort, ("property", "timestamp", "direction"), path)
    direction = sort.get("direction", "ascending")
    if direction not in ("ascending", "descending"):
        raise should_be(f"{path}.direction", '`"ascending"` or `"descending"`', direction)
    if "timestamp" in sort:
        if sort["timestamp"] not in ("created_time", "last_edited_time"):
            raise should_be(f"{path}.timestamp", '`"created_time"` or `"last_edited_time"`', sort["timestamp"])
        created = sort["timestamp"] == "created_time"
        return lambda page: page.created_at if created else page.edited_at, direction == "descending"
    name = expect(sort.get("property"), f"{path}.property", str, "a string")
    prop = find(schema, name)
    if prop is None:
        raise invalid(f"Could not find sort property with name or id: {name}")
    return lambda page: _sort_key(prop, page), direction == "descending"


def _sort_key(prop: Property, page: Record) -> Any:
    """The value to sort a page by; None if empty."""
    kind = prop["type"]
    if kind == "unique_id":
        return page.body["number"]
    value = plain(prop, page)
    if value is None or value == "" or value == []:
        return None
    if kind in ("select", "status"):
        return [option["name"] for option in prop[kind]["options"]].index(value)
    return value.lower() if isinstance(value, str) else value
