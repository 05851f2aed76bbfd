"""Querying a data source: filter, sorts, and pages of at most 100 of at most 10,000
(https://developers.notion.com/reference/query-a-data-source)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from local.sandbox.notion import filters, rows
from local.sandbox.notion.objects import page_object
from local.sandbox.notion.pagination import cut, listed, page_size
from local.sandbox.notion.record import Record, dumped
from local.sandbox.notion.records import Records
from local.sandbox.notion.schema import Schema, find
from local.sandbox.notion.values import Property, plain
from local.sandbox.notion.wording import an_array, an_object, expect, invalid, only, should_be

ROWS = 10_000
_INCOMPLETE = {"request_status": {"type": "incomplete", "incomplete_reason": "query_result_limit_reached"}}

Key = Callable[[Record], Any]


def query(
    records: Records, source: Record, body: dict[str, Any], wanted: Collection[str], *, most: int = ROWS
) -> dict[str, Any]:
    """`POST /data_sources/{id}/query`.

    Args:
        records: the workspace.
        source: the data source.
        body: the request.
        wanted: names or ids of the properties to return; empty for all.
        most: how many rows a query returns, if fewer than Notion's own limit.
    """
    most = min(most, ROWS)
    only(body, ("filter", "sorts", "start_cursor", "page_size", "archived", "in_trash", "result_type"))
    schema: Schema = source.body["properties"]
    size = page_size(body.get("page_size"), "body.page_size")
    in_trash = bool(body.get("in_trash") or body.get("archived"))
    asked = dumped([source.id, body.get("filter"), body.get("sorts"), in_trash])
    found = records.found(asked) if body.get("start_cursor") else None
    if found is None:
        found = _found(records, source, body, in_trash=in_trash)
        records.keep_found(asked, found)
    ids, following = cut(found[:most], size, body.get("start_cursor"))
    results = [page_object(records, page, wanted, schema) for page_id in ids if (page := records.get(page_id))]
    return listed("page_or_data_source", results, following) | (_INCOMPLETE if len(found) > most else {})


def _found(records: Records, source: Record, body: dict[str, Any], *, in_trash: bool) -> list[str]:
    """The ids of all matches, in the order of the query."""
    schema: Schema = source.body["properties"]
    matches, key = _filter(body.get("filter"), schema, records.clock())
    sorts = [
        _sort(one, schema, f"body.sorts[{index}]")
        for index, one in enumerate(an_array(body.get("sorts") or [], "body.sorts"))
    ]
    found = [
        (page.id, [sort_key(page) for sort_key, _ in sorts])
        for page in rows.pages(records, source.id, in_trash=in_trash, key=key)
        if matches(page)
    ]
    for index in reversed(range(len(sorts))):
        found = _sorted(found, index, descending=sorts[index][1])
    return [page_id for page_id, _ in found]


def _filter(given: Any, schema: Schema, now: float) -> tuple[filters.Matches, tuple[str, str] | None]:
    """The filter as a function on pages, and the key that every match has, where there is one."""
    if not given:
        return lambda page: True, None
    return filters.compiled(given, schema, now), filters.key_in(given, schema)


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
