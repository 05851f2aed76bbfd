"""The properties of a data source: https://developers.notion.com/reference/property-object."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import quote, unquote

from local.sandbox.notion import richtext
from local.sandbox.notion.values import COMPUTED, LINES, TEXTS, Property, new_option
from local.sandbox.notion.wording import a_text, an_array, an_id, an_object, invalid, only, should_be

TYPES = (*TEXTS, *COMPUTED, "number", "checkbox", "select", "multi_select", "status", "date", "relation")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz:;<=>?@[]^_{|}~"
_STATUSES = (
    ("Not started", "default", "To-do", "gray"),
    ("In progress", "blue", "In progress", "blue"),
    ("Done", "green", "Complete", "green"),
)

Schema = dict[str, Property]


def find(schema: Schema, name_or_id: str) -> Property | None:
    """A property by its name or its id, encoded for a URL or not."""
    ids = (name_or_id, quote(unquote(name_or_id), safe=""))
    return schema.get(name_or_id) or next((prop for prop in schema.values() if prop["id"] in ids), None)


def title_of(schema: Schema) -> Property:
    """The title property, which every data source has."""
    return next(prop for prop in schema.values() if prop["type"] == "title")


def new_schema(given: Any, path: str) -> Schema:
    """The properties of a new data source.

    Args:
        given: the properties of the request; None for only the title.
        path: where they are.
    """
    schema: Schema = {}
    properties = {"Name": {"title": {}}} if given is None else an_object(given, path)
    for name, config in properties.items():
        schema[name] = _property(name, config, f"{path}.{name}")
    if [prop["type"] for prop in schema.values()].count("title") != 1:
        raise invalid("Title is not provided")
    return schema


def changed(schema: Schema, given: Any, path: str) -> tuple[Schema, dict[str, str]]:
    """Add, rename, retype and remove properties.

    Args:
        schema: the current schema.
        given: by name or id: None to remove, a configuration to add or change.
        path: where they are.

    Returns:
        The new properties, and the old type of each retyped property by its id.
    """
    result, retyped = dict(schema), {}
    for key, config in an_object(given, path).items():
        old = find(result, key)
        if config is None:
            _remove(result, old, key)
        elif old is None:
            result[key] = _property(key, config, f"{path}.{key}")
        else:
            new = _merged(old, an_object(config, f"{path}.{key}"), f"{path}.{key}")
            if new["name"] != old["name"] and new["name"] in result:
                raise invalid(f"Property with name {new['name']} already exists.")
            if new["type"] != old["type"]:
                retyped[new["id"]] = old["type"]
            result = {one["name"]: one for one in (new if prop is old else prop for prop in result.values())}
    if [prop["type"] for prop in result.values()].count("title") != 1:
        raise invalid("Cannot create new title property.")
    return result, retyped


def _remove(schema: Schema, prop: Property | None, key: str) -> None:
    if prop is None:
        raise invalid(f"Could not find property with name or id: {key}")
    if prop["type"] == "title":
        raise invalid("Cannot delete title property.")
    del schema[prop["name"]]


def _merged(old: Property, config: dict[str, Any], path: str) -> Property:
    name = a_text(config.get("name", old["name"]), f"{path}.name", 2000, at_least=1)
    kind = next((one for one in TYPES if one in config), old["type"])
    if kind not in config:
        return old | {"name": name}
    return _property(name, config, path, old)


def _property(name: str, config: Any, path: str, old: Property | None = None) -> Property:
    given = an_object(config, path)
    kind = next((one for one in TYPES if one in given), None)
    if kind is None:
        raise should_be(f"{path}.{given.get('type', 'title')}", "defined", next(iter(given.values()), {}))
    only(given, ("id", "name", "type", "description", kind), path)
    settings = _settings(kind, an_object(given[kind] or {}, f"{path}.{kind}"), f"{path}.{kind}", old)
    new_id = quote("".join(secrets.choice(_LETTERS) for _ in range(4)), safe="")
    kept_id = old["id"] if old else new_id
    prop_id = "title" if kind == "title" else kept_id
    return {"id": prop_id, "name": name, "description": given.get("description"), "type": kind, kind: settings}


def _settings(kind: str, given: dict[str, Any], path: str, old: Property | None) -> dict[str, Any]:
    match kind:
        case "number":
            return {"format": given.get("format", "number")}
        case "select" | "multi_select":
            return {"options": _options(kind, given, path, old)}
        case "status":
            return _status(_options(kind, given, path, old))
        case "relation":
            target = an_id(given.get("data_source_id"), f"{path}.data_source_id")
            form = (
                "dual_property"
                if "dual_property" in given or given.get("type") == "dual_property"
                else "single_property"
            )
            return {"data_source_id": target, "type": form, form: given.get(form) or {}}
        case "unique_id":
            return {"prefix": given.get("prefix")}
    return {}


def _options(kind: str, given: dict[str, Any], path: str, old: Property | None) -> list[dict[str, Any]]:
    known = (
        {field: {option[field]: option for option in old[kind]["options"]} for field in ("id", "name")}
        if old and kind in old
        else {}
    )
    if "options" not in given:
        return list(known.get("id", {}).values())
    options = []
    for index, one in enumerate(an_array(given["options"], f"{path}.options")):
        option = an_object(one, f"{path}.options[{index}]")
        same = known.get("id", {}).get(option.get("id")) or known.get("name", {}).get(option.get("name"))
        if same:
            options.append(same | {field: option[field] for field in ("name", "color") if field in option})
        else:
            options.append(new_option(option.get("name"), f"{path}.options[{index}].name", kind, option.get("color")))
    return options


def _status(options: list[dict[str, Any]]) -> dict[str, Any]:
    """A status with its three groups; options that were sent land in the first one."""
    groups = {
        group: (color, [option["id"] for option in options] if group == "To-do" else [])
        for _, _, group, color in _STATUSES
    }
    for name, color, group, _ in _STATUSES if not options else ():
        option = new_option(name, "name", "status", color)
        options.append(option)
        groups[group][1].append(option["id"])
    return {
        "options": options,
        "groups": [
            {"id": secrets.token_hex(8), "name": name, "color": color, "option_ids": ids}
            for name, (color, ids) in groups.items()
        ],
    }


def converted(old_type: str, prop: Property, kept: Any) -> Any:
    """What a retyped property keeps of a value: text stays text, the rest is lost.

    Args:
        old_type: the type it had.
        prop: the new property.
            kept: the stored value.
    """
    words = richtext.plain(kept) if old_type in ("title", "rich_text") else kept
    if not words or old_type not in TEXTS or prop["type"] not in TEXTS:
        return None
    return words if prop["type"] in LINES else [richtext.piece(words)]
