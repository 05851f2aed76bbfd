"""Notion's objects in responses: https://developers.notion.com/reference/page, …/database, …/data-source,
…/block."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from flask import request

from local.sandbox.notion import dates
from local.sandbox.notion.record import Record
from local.sandbox.notion.records import Records
from local.sandbox.notion.schema import Schema, find, schema_of, source_of
from local.sandbox.notion.users import partial
from local.sandbox.notion.values import Property, shown


def _url(record_id: str, title: str = "") -> str:
    """The link to an object. It has Notion's form and leads to the sandbox's page."""
    words = re.sub(r"[^0-9A-Za-z]+", "-", title).strip("-")
    return f"{request.host_url}notion/p/{f'{words}-' if words else ''}{record_id.replace('-', '')}"


def _parent(records: Records, record: Record) -> dict[str, Any]:
    above = records.get(record.parent) if record.parent else None
    if above is None:
        return {"type": "workspace", "workspace": True}
    if above.kind == "data_source":
        return {"type": "data_source_id", "data_source_id": above.id, "database_id": above.parent}
    return {"type": f"{above.kind}_id", f"{above.kind}_id": above.id}


def value_object(prop: Property, page: Record) -> dict[str, Any]:
    """A property of a page."""
    value = {"id": prop["id"], "type": prop["type"], prop["type"]: shown(prop, page)}
    return value | {"has_more": False} if prop["type"] == "relation" else value


def page_object(
    records: Records, page: Record, wanted: Collection[str] = (), schema: Schema | None = None
) -> dict[str, Any]:
    """A page with its properties.

    Args:
        records: the workspace.
        page: the page.
        wanted: names or ids of the properties to return; empty for all.
        schema: its data source's properties, if the caller has them.
    """
    schema = schema_of(source_of(records, page)) if schema is None else schema
    chosen = [prop for one in wanted if (prop := find(schema, one))] if wanted else schema.values()
    return {
        "object": "page",
        "id": page.id,
        "created_time": dates.to_the_minute(page.created_at),
        "last_edited_time": dates.to_the_minute(page.edited_at),
        "created_by": partial(page.created_by),
        "last_edited_by": partial(page.edited_by),
        "cover": page.body["cover"],
        "icon": page.body["icon"],
        "parent": _parent(records, page),
        "in_trash": page.in_trash,
        "is_archived": page.in_trash,
        "is_locked": page.body["is_locked"],
        "properties": {prop["name"]: value_object(prop, page) for prop in chosen},
        "url": _url(page.id, page.title),
        "public_url": None,
        "archived": page.in_trash,
    }


def _property_object(records: Records, prop: Property) -> dict[str, Any]:
    target = records.get(prop["relation"]["data_source_id"]) if prop["type"] == "relation" else None
    if target is None:
        return prop
    return prop | {"relation": {"database_id": target.parent, **prop["relation"]}}


def data_source_object(records: Records, source: Record) -> dict[str, Any]:
    """A data source with its properties."""
    database = records.get(source.parent or "", "database")
    return {
        "object": "data_source",
        "id": source.id,
        "cover": source.body["cover"],
        "icon": source.body["icon"],
        "created_time": dates.to_the_minute(source.created_at),
        "created_by": partial(source.created_by),
        "last_edited_by": partial(source.edited_by),
        "last_edited_time": dates.to_the_minute(source.edited_at),
        "title": source.body["title"],
        "description": source.body["description"],
        "is_inline": False,
        "properties": {name: _property_object(records, prop) for name, prop in source.body["properties"].items()},
        "parent": {"type": "database_id", "database_id": source.parent},
        "database_parent": _parent(records, database) if database else None,
        "url": _url(source.parent or source.id),
        "public_url": None,
        "in_trash": (trashed := source.in_trash or bool(database and database.in_trash)),
        "archived": trashed,
    }


def database_object(records: Records, database: Record) -> dict[str, Any]:
    """A database, which names its data sources and has no properties itself."""
    sources = records.children(database.id, "data_source")
    return {
        "object": "database",
        "id": database.id,
        "title": database.body["title"],
        "description": database.body["description"],
        "parent": _parent(records, database),
        "is_inline": database.body["is_inline"],
        "in_trash": database.in_trash,
        "is_locked": False,
        "created_time": dates.with_offset(database.created_at),
        "last_edited_time": dates.with_offset(database.edited_at),
        "data_sources": [{"id": source.id, "name": source.title} for source in sources],
        "icon": database.body["icon"],
        "cover": database.body["cover"],
        "url": _url(database.id),
        "public_url": None,
        "archived": database.in_trash,
    }


def block_object(records: Records, record: Record) -> dict[str, Any]:
    """A block; a page or a database is also one, in its parent page."""
    if record.kind == "block":
        kind, content = record.body["type"], record.body["content"]
    else:
        kind, content = f"child_{record.kind}", {"title": record.title}
    return {
        "object": "block",
        "id": record.id,
        "parent": _parent(records, record),
        "created_time": dates.to_the_minute(record.created_at),
        "last_edited_time": dates.to_the_minute(record.edited_at),
        "created_by": partial(record.created_by),
        "last_edited_by": partial(record.edited_by),
        "has_children": bool(records.children(record.id, "block", "page", "database")),
        "in_trash": record.in_trash,
        "type": kind,
        kind: content,
        "archived": record.in_trash,
    }


def markdown_object(page: Record, markdown: str) -> dict[str, Any]:
    """A page's body."""
    return {"object": "page_markdown", "id": page.id, "markdown": markdown, "truncated": False, "unknown_block_ids": []}


def search_object(records: Records, record: Record) -> dict[str, Any]:
    """The search result for a page or a data source."""
    return page_object(records, record) if record.kind == "page" else data_source_object(records, record)
