"""The filter of a query as a function on pages: https://developers.notion.com/reference/filter-data-source-entries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from local.sandbox.notion import conditions, dates
from local.sandbox.notion.conditions import DATES, TIMESTAMPS
from local.sandbox.notion.record import Record
from local.sandbox.notion.schema import Schema, find
from local.sandbox.notion.values import Property, plain, search_key
from local.sandbox.notion.wording import an_array, an_object, expect, invalid, only, should_be

Matches = Callable[[Record], bool]
_DEPTH = 2


def compiled(given: Any, schema: Schema, now: float, path: str = "body.filter", depth: int = 0) -> Matches:
    """A filter as a function on pages.

    Args:
        given: the filter of the request.
        schema: the properties of the data source.
        now: seconds since 1970, for `today` and the like.
        path: where the filter is.
        depth: how many compounds enclose it.
    """
    condition = an_object(given, path)
    for word, together in (("and", all), ("or", any)):
        if word in condition:
            only(condition, () if depth == _DEPTH else (word,), path)
            members = enumerate(an_array(condition[word], f"{path}.{word}"))
            parts = [compiled(one, schema, now, f"{path}.{word}[{index}]", depth + 1) for index, one in members]
            return lambda page: together(part(page) for part in parts)
    if "timestamp" in condition:
        kind = condition["timestamp"]
        if kind not in TIMESTAMPS:
            raise should_be(f"{path}.timestamp", '`"created_time"` or `"last_edited_time"`', kind)
        only(condition, ("timestamp", kind), path)
        matches = conditions.on_date(kind, condition.get(kind), now, f"{path}.{kind}")
        return lambda page: matches(_stamp(kind, page))
    return _on_property(condition, schema, now, path)


def _stamp(kind: str, page: Record) -> datetime:
    return datetime.fromtimestamp(page.created_at if kind == "created_time" else page.edited_at, UTC)


def _on_property(condition: dict[str, Any], schema: Schema, now: float, path: str) -> Matches:
    key = expect(condition.get("property"), f"{path}.property", str, "a string")
    prop = find(schema, key)
    if prop is None:
        raise invalid(f"Could not find property with name or id: {key}")
    kind = prop["type"]
    if kind not in condition:
        given = next((name for name in condition if name not in ("property", "type")), "undefined")
        raise invalid(
            "The property type in the database does not match the property type of the filter provided: "
            f"database property {kind} does not match filter {given}"
        )
    only(condition, ("property", "type", kind), path)
    if kind in DATES:
        matches = conditions.on_date(kind, condition[kind], now, f"{path}.{kind}")
        return lambda page: matches(_moment(prop, page))
    matches = conditions.on_value(kind, condition[kind], f"{path}.{kind}")
    if kind == "unique_id":
        return lambda page: matches(page.body["number"])
    return lambda page: matches(plain(prop, page))


def _moment(prop: Property, page: Record) -> datetime | None:
    if prop["type"] in TIMESTAMPS:
        return _stamp(prop["type"], page)
    kept = page.body["values"].get(prop["id"])
    return dates.instant(kept["start"]) if kept else None


def key_in(given: Any, schema: Schema) -> tuple[str, str] | None:
    """A property's id and search key that every match of a filter has, where there is one; the filter must have been
    compiled before."""
    if "and" in given:
        return next((found for one in given["and"] if (found := key_in(one, schema))), None)
    prop = find(schema, given["property"]) if "property" in given else None
    key = search_key(prop, given[prop["type"]].get("equals")) if prop else None
    return (prop["id"], key) if prop and key else None
