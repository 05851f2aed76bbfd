"""Databases and data sources: create, change and trash."""

from __future__ import annotations

from typing import Any

from local.sandbox.notion import richtext, rows
from local.sandbox.notion.record import Record
from local.sandbox.notion.records import Records
from local.sandbox.notion.references import found, parent_of
from local.sandbox.notion.schema import Schema, changed, converted, new_schema
from local.sandbox.notion.values import Property
from local.sandbox.notion.wording import (
    ARCHIVED,
    UNDEFINED,
    an_object,
    expect,
    invalid,
    only,
    should_be,
)

_LOOKS = ("icon", "cover", "description", "is_inline", "is_locked")


def editable(record: Record, body: dict[str, Any]) -> bool | None:
    """Whether a request moves an object to or from the trash; None if neither.

    Args:
        record: the object.
        body: the request, with `in_trash` or `archived`.

    Raises:
        Refusal: if the object is in the trash and stays there.
    """
    trash: bool | None = None
    for field in ("archived", "in_trash"):
        if body.get(field) is not None:
            trash = expect(body[field], f"body.{field}", bool, "a boolean")
    if record.in_trash and trash is not False:
        raise invalid(ARCHIVED)
    return trash


def create_database(records: Records, body: dict[str, Any], by: str) -> Record:
    """A database with its first data source.

    Args:
        records: the workspace.
        body: the request; `properties` outside of `initial_data_source` are ignored, as in Notion.
        by: the user who asks.
    """
    only(body, ("parent", "title", "initial_data_source", "properties", *_LOOKS))
    parent = parent_of(records, body, "page")
    title = richtext.read(body.get("title", []), "body.title")
    initial = an_object(body.get("initial_data_source") or {}, "body.initial_data_source")
    schema = new_schema(initial.get("properties"), "body.initial_data_source.properties")
    _check_relations(records, schema)
    content = {"title": title, **_looks(body)}
    database = records.insert("database", parent.id if parent else None, content, by=by, title=richtext.plain(title))
    _insert_source(records, database, title, schema, initial, by)
    return database


def create_data_source(records: Records, body: dict[str, Any], by: str) -> Record:
    """One more data source in a database."""
    only(body, ("parent", "properties", "title", "icon"))
    database = parent_of(records, body, "database")
    if database is None:
        raise should_be("body.parent.database_id", "defined", UNDEFINED)
    schema = new_schema(an_object(body.get("properties", UNDEFINED), "body.properties"), "body.properties")
    _check_relations(records, schema)
    return _insert_source(records, database, richtext.read(body.get("title", []), "body.title"), schema, body, by)


def _insert_source(
    records: Records, database: Record, title: list[richtext.Piece], schema: Schema, looks: dict[str, Any], by: str
) -> Record:
    content = {"title": title, "properties": schema, **_looks(looks)}
    return records.insert("data_source", database.id, content, by=by, title=richtext.plain(title))


def _looks(body: dict[str, Any]) -> dict[str, Any]:
    description = richtext.read(body.get("description") or [], "body.description")
    return {
        "icon": body.get("icon"),
        "cover": body.get("cover"),
        "description": description,
        "is_inline": bool(body.get("is_inline")),
    }


def _check_relations(records: Records, schema: Schema) -> None:
    for prop in schema.values():
        if prop["type"] == "relation":
            found(records, prop["relation"]["data_source_id"], "data_source", "body.properties")


def update_database(records: Records, database: Record, body: dict[str, Any], by: str) -> Record:
    """Change a database's title or appearance, or move it to or from the trash."""
    only(body, ("parent", "title", "archived", "in_trash", *_LOOKS))
    return _update(records, database, body, by)


def update_data_source(records: Records, source: Record, body: dict[str, Any], by: str) -> Record:
    """Change a data source's properties or title, or move it to or from the trash."""
    only(body, ("parent", "title", "icon", "properties", "archived", "in_trash"))
    editable(source, body)
    if body.get("properties"):
        old = source.body["properties"]
        schema, retyped = changed(old, body["properties"], "body.properties")
        _check_relations(records, schema)
        source.body["properties"] = schema
        if _concerns_pages(old, schema):
            _convert_pages(records, source, schema, retyped)
    return _update(records, source, body, by)


def _update(records: Records, record: Record, body: dict[str, Any], by: str) -> Record:
    trash = editable(record, body)
    title = None
    if "title" in body:
        record.body["title"] = richtext.read(body["title"], "body.title")
        title = richtext.plain(record.body["title"])
    record.body.update({field: body[field] for field in ("icon", "cover", "is_inline") if field in body})
    if "description" in body:
        record.body["description"] = richtext.read(body["description"], "body.description")
    return records.save(record, by=by, title=title, in_trash=trash)


def _concerns_pages(old: Schema, new: Schema) -> bool:
    """Whether anything besides names and additions has changed."""
    before = {prop["id"]: prop | {"name": ""} for prop in old.values()}
    return any(
        prop | {"name": ""} != before[prop["id"]] if prop["id"] in before else prop["type"] == "unique_id"
        for prop in new.values()
    )


def _convert_pages(records: Records, source: Record, schema: Schema, retyped: dict[str, str]) -> None:
    by_id: dict[str, Property] = {prop["id"]: prop for prop in schema.values()}
    for number, page in enumerate(list(rows.pages(records, source.id, in_trash=None, oldest_first=True)), 1):
        values = page.body["values"]
        for prop_id, old_type in retyped.items():
            kept = converted(old_type, by_id[prop_id], values.pop(prop_id, None))
            values.update({} if kept is None else {prop_id: kept})
        page.body["number"] = number
        rows.index(records, records.rewrite(page), schema)
