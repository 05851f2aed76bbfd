"""Property values: as sent, as stored (by property id, options by option id), and as returned.

Source: https://developers.notion.com/reference/page-property-values. A property is its entry in a data source's schema;
writing a select option that does not exist adds it there.
"""

from __future__ import annotations

import math
from typing import Any

from local.sandbox.notion import dates, options, richtext
from local.sandbox.notion.record import Record
from local.sandbox.notion.wording import a_text, an_array, an_id, an_object, expect, should_be

COMPUTED = ("created_time", "last_edited_time", "unique_id")
TEXTS = ("title", "rich_text", "email", "url", "phone_number")
LINES = {"email": 200, "phone_number": 200, "url": 2000}

Property = dict[str, Any]


def written(prop: Property, given: Any, path: str) -> Any:
    """Check the value of a request, and return what to store.

    Args:
        prop: the property; a new option is added to it.
        given: `{"<type>": …}`, or, for lists, only the list. The caller has checked that the type is the property's.
        path: where it is.
    """
    kind = prop["type"]
    value = given[kind] if isinstance(given, dict) else given
    where = f"{path}.{kind}" if isinstance(given, dict) else path
    match kind:
        case "title" | "rich_text":
            return richtext.read(value, where)
        case "email" | "phone_number" | "url":
            return None if value is None else a_text(value, where, LINES[kind], at_least=1)
        case "number":
            return _number(value, where)
        case "checkbox":
            return expect(value, where, bool, "a boolean")
        case "select":
            return None if value is None else options.choose(prop, value, where)
        case "status":
            return options.default_status(prop) if value is None else options.choose(prop, value, where)
        case "multi_select":
            items = enumerate(an_array(value, where))
            return [options.choose(prop, one, f"{where}[{index}]") for index, one in items]
        case "date":
            return dates.read(value, where)
        case "relation":
            return [_page_id(one, f"{where}[{index}]") for index, one in enumerate(an_array(value, where))]
    raise should_be(where, "not present", value)


def _number(value: Any, path: str) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if value is not None and not is_number:
        raise should_be(path, "a number or `null`", value)
    # JSON has one kind of number: 3.0 is 3
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _page_id(value: Any, path: str) -> str:
    return an_id(an_object(value, path).get("id"), f"{path}.id")


def empty(prop: Property) -> Any:
    """The stored value of a property that a page does not set."""
    kind = prop["type"]
    if kind in ("title", "rich_text", "multi_select", "relation"):
        return []
    if kind == "status":
        return options.default_status(prop)
    return False if kind == "checkbox" else None


def shown(prop: Property, page: Record) -> Any:
    """A value as Notion returns it, without the enclosing id and type.

    Args:
        prop: the property.
        page: the page.
    """
    kept = page.body["values"].get(prop["id"], empty(prop))
    match prop["type"]:
        case "select" | "status":
            return options.shown(prop, kept)
        case "multi_select":
            return [option for option_id in kept if (option := options.shown(prop, option_id))]
        case "relation":
            return [{"id": page_id} for page_id in kept]
        case "created_time":
            return dates.to_the_minute(page.created_at)
        case "last_edited_time":
            return dates.to_the_minute(page.edited_at)
        case "unique_id":
            return {"prefix": prop["unique_id"]["prefix"], "number": page.body["number"]}
    return kept


def plain(prop: Property, page: Record) -> Any:
    """A value as simple JSON: a text, a number, a bool, a name, a list of names, or a date's start (with its end, if
    any).

    Args:
        prop: the property.
        page: the page.
    """
    value = shown(prop, page)
    match prop["type"]:
        case "title" | "rich_text":
            return richtext.plain(value)
        case "select" | "status":
            return value["name"] if value else None
        case "multi_select":
            return [option["name"] for option in value]
        case "relation":
            return [one["id"] for one in value]
        case "date" if value is not None:
            return value["start"] if value["end"] is None else [value["start"], value["end"]]
        case "unique_id":
            return "-".join(str(part) for part in (value["prefix"], value["number"]) if part is not None)
    return value


def search_key(prop: Property, value: Any) -> str | None:
    """The text by which a page is found without a scan. Values that are never written have none.

    Args:
        prop: the property.
        value: as returned by `plain`.
    """
    if prop["type"] == "checkbox":
        return "ticked" if value is True else None
    has_key = prop["type"] in (*TEXTS, "select") and isinstance(value, str) and value
    return value[: options.MAX_CHARS] if has_key else None
