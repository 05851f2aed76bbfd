"""The sandbox's own JSON about Notion, for programs: its content, and initial layouts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from flask import Blueprint, Response

from local.sandbox.control import Wrong, body, json_answer
from local.sandbox.emails import rfc3339
from local.sandbox.notion import rows
from local.sandbox.notion.pages import plain_values
from local.sandbox.notion.record import Record
from local.sandbox.notion.records import Records
from local.sandbox.notion.seed import LAYOUTS, plant

_CHUNK = 100


def blueprint(records: Records) -> Blueprint:
    """The routes.

    Args:
        records: the workspace.
    """
    export = Blueprint("notion_export", __name__)

    @export.errorhandler(Wrong)
    def wrong(error: Wrong) -> Response:
        return json_answer({"error": str(error)}, 422)

    @export.get("/notion.json")
    def everything() -> Response:
        return Response(_everything(records), content_type="application/json")

    @export.get("/notion/count")
    def count() -> Response:
        with records.transaction():
            return json_answer(
                {name: rows.count(records, source.id) for name, source in named_sources(records).items()}
            )

    @export.post("/notion/seed")
    def seed() -> Response:
        layout = body().get("layout")
        if layout not in LAYOUTS:
            raise Wrong(f"layout: must be one of {', '.join(LAYOUTS)}")
        return json_answer(plant(records, layout))

    return export


def named_sources(records: Records) -> dict[str, Record]:
    """Every data source by name, in the order of creation; a repeated name gets a number."""
    named: dict[str, Record] = {}
    for source in records.of_kind("data_source"):
        name, number = source.title or "Untitled", 2
        while name in named:
            name, number = f"{source.title or 'Untitled'} {number}", number + 1
        named[name] = source
    return named


def _everything(records: Records) -> Iterator[str]:
    """Every page by data source, oldest first, streamed as text, so that many pages neither fill memory nor hold up
    others."""
    with records.transaction():
        sources = named_sources(records)
    for number, (name, source) in enumerate(sources.items()):
        yield f"{', ' if number else '{'}{json.dumps(name)}: "
        yield from _pages(records, source)
    yield "}" if sources else "{}"


def _pages(records: Records, source: Record) -> Iterator[str]:
    start, place = "[", 0.0
    while entries := _chunk(records, source, place):
        yield start + ", ".join(json.dumps(_entry(source, page)) for page in entries)
        start, place = ", ", entries[-1].place
    yield "[]" if start == "[" else "]"


def _chunk(records: Records, source: Record, place: float) -> list[Record]:
    with records.transaction():
        return list(islice(rows.pages(records, source.id, in_trash=None, oldest_first=True, beyond=place), _CHUNK))


def _entry(source: Record, page: Record) -> dict[str, Any]:
    return {
        "id": page.id,
        "created_time": rfc3339(page.created_at),
        "in_trash": page.in_trash,
        "properties": plain_values(source.body["properties"], page),
    }
