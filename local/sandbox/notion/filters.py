"""Conditions of a query: https://developers.notion.com/reference/filter-data-source-entries."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from local.sandbox.notion import dates
from local.sandbox.notion.records import Record
from local.sandbox.notion.schema import Schema, find
from local.sandbox.notion.values import TEXTS, Property, plain, search_key
from local.sandbox.notion.wording import an_array, an_object, expect, invalid, only, should_be

Matches = Callable[[Record], bool]
Test = Callable[[Any, Any], bool]

_EMPTY: dict[str, Test] = {"is_empty": lambda value, _: not value, "is_not_empty": lambda value, _: bool(value)}
_TEXT: dict[str, Test] = {
    "equals": lambda value, wanted: (value or "") == wanted,
    "does_not_equal": lambda value, wanted: (value or "") != wanted,
    "contains": lambda value, wanted: wanted.lower() in (value or "").lower(),
    "does_not_contain": lambda value, wanted: wanted.lower() not in (value or "").lower(),
    "starts_with": lambda value, wanted: (value or "").lower().startswith(wanted.lower()),
    "ends_with": lambda value, wanted: (value or "").lower().endswith(wanted.lower()),
    **_EMPTY,
}
_NUMBER: dict[str, Test] = {
    "equals": operator.eq,
    "does_not_equal": operator.ne,
    "greater_than": lambda value, wanted: value is not None and value > wanted,
    "less_than": lambda value, wanted: value is not None and value < wanted,
    "greater_than_or_equal_to": lambda value, wanted: value is not None and value >= wanted,
    "less_than_or_equal_to": lambda value, wanted: value is not None and value <= wanted,
    "is_empty": lambda value, _: value is None,
    "is_not_empty": lambda value, _: value is not None,
}
_CHOICE: dict[str, Test] = {
    "equals": lambda value, wanted: value in wanted if isinstance(wanted, list) else value == wanted,
    "does_not_equal": lambda value, wanted: value not in wanted if isinstance(wanted, list) else value != wanted,
    **_EMPTY,
}
_LIST: dict[str, Test] = {
    "contains": lambda value, wanted: wanted in value,
    "does_not_contain": lambda value, wanted: wanted not in value,
    **_EMPTY,
}
_WITHIN = {"this_week": (-7, 7), "past_week": (-7, 0), "past_month": (-30, 0), "past_year": (-365, 0)}
_WITHIN |= {"next_week": (0, 7), "next_month": (0, 30), "next_year": (0, 365)}
_DATE = ("equals", "before", "after", "on_or_before", "on_or_after", *_WITHIN, *_EMPTY)
_CONDITIONS: dict[str, dict[str, Test]] = {
    **dict.fromkeys(TEXTS, _TEXT),
    "number": _NUMBER,
    "unique_id": _NUMBER,
    "checkbox": {"equals": operator.eq, "does_not_equal": operator.ne},
    "select": _CHOICE,
    "status": _CHOICE,
    "multi_select": _LIST,
    "relation": _LIST,
}
_DATES = ("date", "created_time", "last_edited_time")
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
        if kind not in _DATES[1:]:
            raise should_be(f"{path}.timestamp", '`"created_time"` or `"last_edited_time"`', kind)
        only(condition, ("timestamp", kind), path)
        return _dated(kind, condition.get(kind), now, f"{path}.{kind}", lambda page: _stamp(kind, page))
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
    if kind in _DATES:
        return _dated(kind, condition[kind], now, f"{path}.{kind}", lambda page: _moment(prop, page))
    word, wanted = _single(condition[kind], _CONDITIONS[kind], f"{path}.{kind}")
    _check_wanted(kind, word, wanted, f"{path}.{kind}.{word}")
    test = _CONDITIONS[kind][word]
    if kind == "unique_id":
        return lambda page: test(page.body["number"], wanted)
    return lambda page: test(plain(prop, page), wanted)


def _single(given: Any, known: Any, path: str) -> tuple[str, Any]:
    condition = an_object(given, path)
    only(condition, known, path)
    if len(condition) != 1:
        raise should_be(f"{path}.{next(iter(known))}", "defined", condition)
    return next(iter(condition.items()))


def _check_wanted(kind: str, word: str, wanted: Any, path: str) -> None:
    if word in _EMPTY:
        if wanted is not True:
            raise should_be(path, "`true`", wanted)
    elif kind in ("number", "unique_id"):
        if isinstance(wanted, bool) or not isinstance(wanted, (int, float)):
            raise should_be(path, "a number", wanted)
    elif kind == "checkbox":
        expect(wanted, path, bool, "a boolean")
    elif not (kind in ("select", "status") and isinstance(wanted, list)):
        expect(wanted, path, str, "a string")


def _moment(prop: Property, page: Record) -> datetime | None:
    if prop["type"] in _DATES[1:]:
        return _stamp(prop["type"], page)
    kept = page.body["values"].get(prop["id"])
    return dates.instant(kept["start"]) if kept else None


def _dated(kind: str, given: Any, now: float, path: str, moment: Callable[[Record], datetime | None]) -> Matches:
    word, wanted = _single(given, _DATE, path)
    if word in _EMPTY:
        _check_wanted(kind, word, wanted, f"{path}.{word}")
        return lambda page: (moment(page) is None) == (word == "is_empty")
    if word in _WITHIN:
        today = dates.span("today", now)[0]
        low, high = (today + days * dates.DAY for days in _WITHIN[word])
        return lambda page: (at := moment(page)) is not None and low <= at < high + dates.DAY
    try:
        start, end = dates.span(expect(wanted, f"{path}.{word}", str, "a string"), now)
    except ValueError:
        raise should_be(f"{path}.{word}", "a valid ISO 8601 date string", wanted) from None
    a_day = end - start == dates.DAY
    tests: dict[str, Callable[[datetime], bool]] = {
        "equals": lambda at: start <= at < end,
        "before": lambda at: at < start,
        "after": lambda at: at >= end if a_day else at > start,
        "on_or_before": lambda at: at < end if a_day else at <= start,
        "on_or_after": lambda at: at >= start,
    }
    test = tests[word]
    return lambda page: (at := moment(page)) is not None and test(at)


def key_in(given: Any, schema: Schema) -> tuple[str, str] | None:
    """A property's id and search key that every match of a filter has, where there is one; the filter must have been
    compiled before."""
    if "and" in given:
        return next((found for one in given["and"] if (found := key_in(one, schema))), None)
    prop = find(schema, given["property"]) if "property" in given else None
    key = search_key(prop, given[prop["type"]].get("equals")) if prop else None
    return (prop["id"], key) if prop and key else None
