"""The properties of a data source: https://developers.notion.com/reference/property-object."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import quote, unquote

from local.sandbox.notion import options, richtext
from local.sandbox.notion.record import Record
from local.sandbox.notion.records import Records
from local.sandbox.notion.values import COMPUTED, LINES, TEXTS, Property
from local.sandbox.notion.wording import a_text, an_id, an_object, invalid, only, should_be

TYPES = (*TEXTS, *COMPUTED, "number", "checkbox", "select", "multi_select", "status", "date", "relation")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz:;<=>?@[]^_{|}~"

Schema = dict[str, Property]

PAGE_SCHEMA: Schema = {"title": {"id": "title", "name": "title", "description": None, "type": "title", "title": {}}}


def find(schema: Schema, name_or_id: str) -> Property | None:
    """A property by its name or its id, encoded for a URL or not."""
    ids = (name_or_id, quote(unquote(name_or_id), safe=""))
    return schema.get(name_or_id) or next((prop for prop in schema.values() if prop["id"] in ids), None)


def title_of(schema: Schema) -> Property:
    """The title property, which every data source has."""
    return next(prop for prop in schema.values() if prop["type"] == "title")


def source_of(records: Records, page: Record) -> Record | None:
    """The data source of which a page is a row, if it is one."""
    return records.get(page.parent, "data_source") if page.parent else None


def schema_of(source: Record | None) -> Schema:
    """The properties of a data source's pages; only the title for a page that is not a row."""
    schema: Schema = source.body["properties"] if source else PAGE_SCHEMA
    return schema


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
            result = _replaced(result, old, new)
            if new["type"] != old["type"]:
                retyped[new["id"]] = old["type"]
    if [prop["type"] for prop in result.values()].count("title") != 1:
        raise invalid("Cannot create new title property.")
    return result, retyped


def _remove(schema: Schema, prop: Property | None, key: str) -> None:
    if prop is None:
        raise invalid(f"Could not find property with name or id: {key}")
    if prop["type"] == "title":
        raise invalid("Cannot delete title property.")
    del schema[prop["name"]]


def _replaced(schema: Schema, old: Property, new: Property) -> Schema:
    if new["name"] != old["name"] and new["name"] in schema:
        raise invalid(f"Property with name {new['name']} already exists.")
    return {one["name"]: one for one in (new if prop is old else prop for prop in schema.values())}


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
    known = old.get(kind, {}).get("options", []) if old else []
    match kind:
        case "number":
            return {"format": given.get("format", "number")}
        case "select" | "multi_select":
            return {"options": options.read(kind, given, path, known)}
        case "status":
            before = old.get(kind, {}).get("groups", []) if old else []
            return options.status_groups(options.read(kind, given, path, known), before)
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
