"""Property values: as sent, as stored (by property id, options by option id), and as returned.

Source: https://developers.notion.com/reference/page-property-values. A property is its entry in a data source's schema;
writing a select option that does not exist adds it there.
"""

from __future__ import annotations

import math
import random
import uuid
from typing import Any

from local.sandbox.notion import dates, richtext
from local.sandbox.notion.records import Record
from local.sandbox.notion.wording import a_text, an_array, an_id, an_object, expect, invalid, only, should_be

COMPUTED = ("created_time", "last_edited_time", "unique_id")
TEXTS = ("title", "rich_text", "email", "url", "phone_number")
LINES = {"email": 200, "phone_number": 200, "url": 2000}
COLORS = ("default", "gray", "brown", "orange", "yellow", "green", "blue", "purple", "pink", "red")
MAX_OPTION = 100

Property = dict[str, Any]


def new_option(name: Any, path: str, kind: str, color: str | None = None) -> dict[str, Any]:
    """A new option of a select, multi-select or status.

    Args:
        name: what it is called.
        path: where the name is.
        kind: the property's type.
        color: one of COLORS; random by default.
    """
    if "," in a_text(name, path, MAX_OPTION, at_least=1):
        raise invalid(f"Invalid {kind} option, commas not allowed: {name}")
    chosen = color or random.choice(COLORS)  # noqa: S311 - a color, not a secret
    return {"id": str(uuid.uuid4()), "name": name, "color": chosen, "description": None}


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
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)
            ):
                raise should_be(where, "a number or `null`", value)
            return (
                int(value) if isinstance(value, float) and value.is_integer() else value
            )  # JSON has one kind of number: 3.0 is 3
        case "checkbox":
            return expect(value, where, bool, "a boolean")
        case "select":
            return None if value is None else _option(prop, value, where)
        case "status":
            return first_status(prop) if value is None else _option(prop, value, where)
        case "multi_select":
            return [_option(prop, one, f"{where}[{index}]") for index, one in enumerate(an_array(value, where))]
        case "date":
            return dates.read(value, where)
        case "relation":
            items = enumerate(an_array(value, where))
            return [
                an_id(an_object(one, f"{where}[{index}]").get("id"), f"{where}[{index}].id") for index, one in items
            ]
    raise should_be(where, "not present", value)


def _option(prop: Property, value: Any, path: str) -> str:
    given = an_object(value, path)
    only(given, ("id", "name", "color", "description"), path)
    kind = prop["type"]
    options: list[dict[str, Any]] = prop[kind]["options"]
    field = "id" if "id" in given else "name"
    for option in options:
        if option[field] == given.get(field):
            return str(option["id"])
    if kind == "status":
        raise invalid(f'Invalid status option. Status option "{given.get(field)}" does not exist".')
    if field == "id":
        raise should_be(f"{path}.id", "the id of an option", given["id"])
    added = new_option(given.get("name"), f"{path}.name", kind, given.get("color"))
    options.append(added)
    return str(added["id"])


def first_status(prop: Property) -> str | None:
    """The id of a page's default status."""
    options = prop["status"]["options"]
    return options[0]["id"] if options else None


def empty(prop: Property) -> Any:
    """The stored value of a property that a page does not set."""
    kind = prop["type"]
    if kind in ("title", "rich_text", "multi_select", "relation"):
        return []
    if kind == "status":
        return first_status(prop)
    return False if kind == "checkbox" else None


def _option_by_id(prop: Property, option_id: str | None) -> dict[str, Any] | None:
    for option in prop[prop["type"]]["options"]:
        if option["id"] == option_id:
            return {name: option[name] for name in ("id", "name", "color")}
    return None


def shown(prop: Property, page: Record) -> Any:
    """A value as Notion returns it, without the enclosing id and type.

    Args:
        prop: the property.
        page: the page.
    """
    kept = page.body["values"].get(prop["id"], empty(prop))
    match prop["type"]:
        case "select" | "status":
            return _option_by_id(prop, kept)
        case "multi_select":
            return [option for option_id in kept if (option := _option_by_id(prop, option_id))]
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
    return value[:MAX_OPTION] if prop["type"] in (*TEXTS, "select") and isinstance(value, str) and value else None
