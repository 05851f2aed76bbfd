"""Pages: create, change, trash, and read one property."""

from __future__ import annotations

from typing import Any

from local.sandbox.notion import contents, richtext, rows
from local.sandbox.notion.databases import editable
from local.sandbox.notion.objects import value_object
from local.sandbox.notion.pagination import listed
from local.sandbox.notion.record import Record
from local.sandbox.notion.records import Records
from local.sandbox.notion.references import is_below_trash, parent_of
from local.sandbox.notion.schema import Schema, find, schema_of, source_of, title_of
from local.sandbox.notion.values import plain, written
from local.sandbox.notion.wording import UNDEFINED, an_object, expect, invalid, only

_LOOKS = {"icon": None, "cover": None, "is_locked": False}


def create(records: Records, body: dict[str, Any], by: str) -> Record:
    """A page in a data source, or in another page.

    Args:
        records: the workspace.
        body: the request.
        by: the user who asks.
    """
    only(body, ("parent", "properties", "children", "markdown", *_LOOKS))
    parent = _home(records, body)
    properties = an_object(body.get("properties", UNDEFINED), "body.properties")
    if "children" in body and "markdown" in body:
        raise invalid("body failed validation: body.markdown should be not present when body.children is defined.")
    source = parent if parent.kind == "data_source" else None
    schema = schema_of(source)
    content = (
        _LOOKS | {name: body[name] for name in _LOOKS if name in body} | {"values": _read_values(schema, properties)}
    )
    if source and any(prop["type"] == "unique_id" for prop in schema.values()):
        content["number"] = rows.ever(records, source.id) + 1
    page = records.insert("page", parent.id, content, by=by, title=_title(schema, content["values"]))
    if source:
        records.rewrite(source)  # a select may have a new option now
        rows.index(records, page, schema)
    _write_content(records, page, body, by)
    return page


def _write_content(records: Records, page: Record, body: dict[str, Any], by: str) -> None:
    if body.get("children"):
        contents.append(records, page, {"children": body["children"]}, by)
    elif body.get("markdown"):
        contents.write_markdown(records, page, body["markdown"], by)


def _home(records: Records, body: dict[str, Any]) -> Record:
    parent = parent_of(records, body, "data_source", "database", "page")
    if parent is None:
        raise invalid(
            "Provided parent is the workspace, but an internal integration can only create pages inside of others."
        )
    if parent.in_trash or is_below_trash(records, parent):
        raise invalid("Can't create pages in an archived block. You must unarchive the block first.")
    if parent.kind != "database":
        return parent
    sources = records.children(parent.id, "data_source")
    if len(sources) != 1:
        raise invalid(
            "Databases with multiple data sources are not supported here: name the data source as the parent."
        )
    return sources[0]


def _read_values(schema: Schema, properties: dict[str, Any]) -> dict[str, Any]:
    """Check the values of a request, and return what to store by property id."""
    wrong, chosen = [], []
    for key, given in properties.items():
        prop = find(schema, key)
        if prop is None:
            wrong.append(f"{key} is not a property that exists.")
        elif (isinstance(given, dict) and prop["type"] not in given) or not isinstance(given, (dict, list)):
            wrong.append(f"{key} is expected to be {prop['type']}.")
        else:
            chosen.append((key, prop, given))
    if wrong:
        raise invalid(" ".join(wrong))
    return {prop["id"]: written(prop, given, f"body.properties.{key}") for key, prop, given in chosen}


def _title(schema: Schema, values: dict[str, Any]) -> str:
    return richtext.plain(values.get(title_of(schema)["id"], []))


def update(records: Records, page: Record, body: dict[str, Any], by: str) -> Record:
    """Change a page's properties or appearance, or move it to or from the trash.

    Args:
        records: the workspace.
        page: the page.
        body: the request.
        by: the user who asks.
    """
    only(body, ("properties", "archived", "in_trash", "erase_content", *_LOOKS))
    trash = editable(page, body)
    if is_below_trash(records, page):
        raise invalid(
            "Can't edit page on block with an archived ancestor. You must unarchive the ancestor before editing page."
        )
    source = source_of(records, page)
    schema = schema_of(source)
    page.body["values"] |= _read_values(schema, an_object(body.get("properties") or {}, "body.properties"))
    page.body.update({name: body[name] for name in _LOOKS if name in body})
    if body.get("erase_content") and expect(body["erase_content"], "body.erase_content", bool, "a boolean"):
        contents.erase(records, page)
    page = records.save(page, by=by, title=_title(schema, page.body["values"]), in_trash=trash)
    if source:
        records.rewrite(source)
        rows.index(records, page, schema)
    return page


def property_item(records: Records, page: Record, key: str) -> dict[str, Any]:
    """One property of a page, as returned by `GET /pages/{id}/properties/{id}`: texts and relations as a list of
    items."""
    prop = find(schema_of(source_of(records, page)), key)
    if prop is None:
        raise invalid(f"Could not find property with name or id: {key}")
    value = value_object(prop, page)
    kind = prop["type"]
    if kind not in ("title", "rich_text", "relation"):
        return {"object": "property_item", **value}
    items = [{"object": "property_item", "type": kind, "id": prop["id"], kind: one} for one in value[kind]]
    return listed("property_item", items) | {
        "property_item": {"id": prop["id"], "next_url": None, "type": kind, kind: {}}
    }


def plain_values(schema: Schema, page: Record) -> dict[str, Any]:
    """A page's properties as simple JSON, by name."""
    return {name: plain(prop, page) for name, prop in schema.items()}
