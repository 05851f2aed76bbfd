"""Search by title.

New objects are found only after a while, as in Notion
(https://developers.notion.com/reference/search-optimizations-and-limitations)."""

from __future__ import annotations

from typing import Any

from local.sandbox.notion.objects import search_object
from local.sandbox.notion.pagination import cut, listed, page_size
from local.sandbox.notion.record import Kind
from local.sandbox.notion.records import Records
from local.sandbox.notion.wording import an_object, expect, invalid, only, should_be


def search(records: Records, body: dict[str, Any], lag: float) -> dict[str, Any]:
    """`POST /search`.

    Args:
        records: the workspace.
        body: the request.
        lag: how many seconds old an object must be to be found.
    """
    only(body, ("query", "sort", "filter", "start_cursor", "page_size"))
    words = expect(body.get("query", ""), "body.query", str, "a string or `undefined`")
    size = page_size(body.get("page_size"), "body.page_size")
    ascending = _ascending(an_object(body.get("sort") or {}, "body.sort"))
    kinds = _kinds(an_object(body.get("filter") or {}, "body.filter"))
    found = sorted(records.titled(words, kinds, records.clock() - lag), key=lambda row: row[1], reverse=not ascending)
    ids, following = cut([record_id for record_id, _ in found], size, body.get("start_cursor"))
    results = [search_object(records, record) for record_id in ids if (record := records.get(record_id))]
    return listed("page_or_data_source", results, following)


def _ascending(sort: dict[str, Any]) -> bool:
    if sort.get("timestamp", "last_edited_time") != "last_edited_time":
        raise invalid('body.sort.timestamp should be "last_edited_time" when sorting by timestamp.')
    direction = sort.get("direction", "descending")
    if direction not in ("ascending", "descending"):
        raise should_be("body.sort.direction", '`"ascending"`, `"descending"`, or `undefined`', direction)
    return bool(direction == "ascending")


def _kinds(chosen: dict[str, Any]) -> tuple[Kind, ...]:
    value = chosen.get("value")
    if chosen and chosen.get("property") != "object":
        raise should_be("body.filter.property", '`"object"`', chosen.get("property"))
    if value is not None and value not in ("page", "data_source"):
        raise should_be("body.filter.value", '`"page"` or `"data_source"`', value)
    return (value,) if value else ("page", "data_source")
