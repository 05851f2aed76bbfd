"""Pages for people: each data source as a table, and each row to read and change as in Notion."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from local.sandbox.emails import rfc3339
from local.sandbox.notion import contents, pages
from local.sandbox.notion.objects import PERSON, schema_of, source_of
from local.sandbox.notion.records import Kind, Record, Records
from local.sandbox.notion.schema import Schema, title_of
from local.sandbox.notion.seed import LAYOUTS, plant
from local.sandbox.notion.values import LINES, Property, plain
from local.sandbox.refusal import Refusal

PAGE_SIZE = 50
_EDITABLE = ("title", "rich_text", "number", "checkbox", "select", "status", *LINES)


@dataclass(frozen=True)
class Field:
    """A property of a row for display.

    Attributes:
        value: as simple JSON.
        options: a select's options.
        editable: whether the form can change it.
    """

    id: str
    name: str
    kind: str
    value: Any
    options: tuple[str, ...]
    editable: bool

    @property
    def text(self) -> str:
        """The value for a form."""
        return "" if self.value is None or self.value is False else str(self.value)


def _field(prop: Property, page: Record) -> Field:
    kind = prop["type"]
    options = tuple(option["name"] for option in prop[kind]["options"]) if kind in ("select", "status") else ()
    return Field(prop["id"], prop["name"], kind, plain(prop, page), options, kind in _EDITABLE)


def _columns(schema: Schema) -> list[Property]:
    """The properties in table order, title first."""
    title = title_of(schema)
    return [title, *(prop for prop in schema.values() if prop is not title)]


def _sent(prop: Property, text: str) -> Any:
    """A form's text as the API expects it."""
    kind = prop["type"]
    if kind in ("title", "rich_text"):
        return {kind: [{"text": {"content": part}} for part in re.findall(r"(?s).{1,1000}", text)]}
    if kind == "checkbox":
        return {kind: bool(text)}
    if kind in ("select", "status"):
        return {kind: {"name": text} if text else None}
    return {kind: _number(text) if text and kind == "number" else text or None}


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number


def _words(text: str) -> str:
    """A text as a one-line form field returns it."""
    return " ".join(text.split())


def _changes(schema: Schema, form: dict[str, str]) -> dict[str, Any]:
    """What a person changed, compared with what the form showed, so that the integration's later writes stay."""
    fields = [(prop, _words(form.get(prop["id"], ""))) for prop in schema.values() if f"was {prop['id']}" in form]
    return {prop["id"]: _sent(prop, text) for prop, text in fields if text != _words(form[f"was {prop['id']}"])}


def _change(records: Records, page: Record, form: dict[str, str]) -> None:
    match form.get("action"):
        case "properties":
            if changes := _changes(schema_of(source_of(records, page)), form):
                pages.update(records, page, {"properties": changes}, PERSON)
        case "body":
            contents.write_markdown(records, page, form.get("markdown", "").replace("\r\n", "\n"), PERSON)
        case "trash" | "restore":
            pages.update(records, page, {"in_trash": form["action"] == "trash"}, PERSON)
        case _:
            abort(422)


def blueprint(records: Records) -> Blueprint:
    """The pages.

    Args:
        records: the workspace.
    """
    person = Blueprint("notion", __name__)

    def found(record_id: str, kind: Kind) -> Record:
        return records.get(record_id, kind) or abort(404)

    @person.get("/notion")
    def overview() -> str:
        with records.transaction():
            sources = [(source, records.count(source.id)) for source in records.of_kind("data_source")]
            newest = [next(records.pages(source.id), None) for source, _ in sources]
        times = [rfc3339(page.created_at) if page else "" for page in newest]
        rows = [(source, count, time) for (source, count), time in zip(sources, times, strict=True)]
        return render_template("notion.html", rows=rows)

    @person.post("/notion")
    def begin() -> AnyResponse:
        layout = request.form.get("layout", "")
        plant(records, layout if layout in LAYOUTS else abort(422))
        return redirect(url_for("notion.overview"), 303)

    @person.get("/notion/sources/<source_id>")
    def table(source_id: str) -> str:
        beyond = request.args.get("beyond", type=float)
        with records.transaction():
            source, count = found(source_id, "data_source"), records.count(source_id)
            shown = list(islice(records.pages(source_id, beyond=beyond), PAGE_SIZE + 1))
        columns = _columns(source.body["properties"])
        rows = [(page, [_field(prop, page) for prop in columns]) for page in shown[:PAGE_SIZE]]
        older = shown[PAGE_SIZE - 1].place if len(shown) > PAGE_SIZE else None
        content = {"columns": columns, "rows": rows, "count": count, "older": older, "first_page": beyond is None}
        return render_template("notion_source.html", source=source, **content)

    def render(page_id: str, problem: str = "") -> str:
        with records.transaction():
            page = found(page_id, "page")
            source = source_of(records, page)
            content: dict[str, Any] = {
                "page": page,
                "source": source,
                "fields": [_field(prop, page) for prop in _columns(schema_of(source))],
                "markdown": contents.read_markdown(records, page, for_people=True),
                "created": rfc3339(page.created_at),
                "edited": rfc3339(page.edited_at),
                "by_person": page.edited_by == PERSON,
            }
        return render_template("notion_page.html", problem=problem, **content)

    @person.get("/notion/pages/<page_id>")
    def row(page_id: str) -> str:
        return render(page_id)

    @person.post("/notion/pages/<page_id>")
    def change(page_id: str) -> AnyResponse:
        try:
            with records.transaction():
                _change(records, found(page_id, "page"), request.form.to_dict())
        except (Refusal, ValueError) as problem:
            return Response(render(page_id, str(problem)), 422)
        return redirect(url_for("notion.row", page_id=page_id, saved=1), 303)

    @person.get("/notion/p/<slug>")
    def link(slug: str) -> AnyResponse:
        """The page at the `url` of an object."""
        hexadecimal = slug[-32:]
        record_id = "-".join(hexadecimal[start:end] for start, end in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))
        with records.transaction():
            record = records.get(record_id, "page", "database") or abort(404)
            sources = records.children(record.id, "data_source")
        if record.kind == "page":
            return redirect(url_for("notion.row", page_id=record.id))
        return redirect(url_for("notion.table", source_id=sources[0].id) if sources else url_for("notion.overview"))

    return person
