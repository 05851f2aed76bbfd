"""Pages for people: each data source as a table, and each row to read and change as in Notion."""

from __future__ import annotations

from itertools import islice
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from local.sandbox.emails import rfc3339
from local.sandbox.notion import contents, pages, rows
from local.sandbox.notion.form import changes, columns, fields
from local.sandbox.notion.record import Kind, Record
from local.sandbox.notion.records import Records
from local.sandbox.notion.schema import schema_of, source_of
from local.sandbox.notion.seed import LAYOUTS, plant
from local.sandbox.notion.users import PERSON
from local.sandbox.refusal import Refusal

PAGE_SIZE = 50


def _change(records: Records, page: Record, form: dict[str, str]) -> None:
    match form.get("action"):
        case "properties":
            if changed := changes(schema_of(source_of(records, page)), form):
                pages.update(records, page, {"properties": changed}, PERSON)
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
            sources = [(source, rows.count(records, source.id)) for source in records.of_kind("data_source")]
            newest = [next(rows.pages(records, source.id), None) for source, _ in sources]
        times = [rfc3339(page.created_at) if page else "" for page in newest]
        shown = [(source, count, time) for (source, count), time in zip(sources, times, strict=True)]
        return render_template("notion.html", rows=shown)

    @person.post("/notion")
    def begin() -> AnyResponse:
        layout = request.form.get("layout", "")
        plant(records, layout if layout in LAYOUTS else abort(422))
        return redirect(url_for("notion.overview"), 303)

    @person.get("/notion/sources/<source_id>")
    def table(source_id: str) -> str:
        beyond = request.args.get("beyond", type=float)
        with records.transaction():
            source, count = found(source_id, "data_source"), rows.count(records, source_id)
            shown = list(islice(rows.pages(records, source_id, beyond=beyond), PAGE_SIZE + 1))
        schema = source.body["properties"]
        older = shown[PAGE_SIZE - 1].place if len(shown) > PAGE_SIZE else None
        content: dict[str, Any] = {
            "columns": columns(schema),
            "rows": [(page, fields(schema, page)) for page in shown[:PAGE_SIZE]],
            "count": count,
            "older": older,
            "first_page": beyond is None,
        }
        return render_template("notion_source.html", source=source, **content)

    def render(page_id: str, problem: str = "") -> str:
        with records.transaction():
            page = found(page_id, "page")
            source = source_of(records, page)
            content: dict[str, Any] = {
                "page": page,
                "source": source,
                "fields": fields(schema_of(source), page),
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
