"""The content of a page: its blocks, also as Markdown."""

from __future__ import annotations

from typing import Any

from local.sandbox.notion import blocks, edits, markdown, markdown_lines
from local.sandbox.notion.blocks import Block
from local.sandbox.notion.record import Record
from local.sandbox.notion.records import Records
from local.sandbox.notion.wording import (
    ARCHIVED,
    UNDEFINED,
    a_text,
    an_id,
    an_object,
    invalid,
    not_found,
    only,
)


def append(records: Records, parent: Record, body: dict[str, Any], by: str) -> list[Record]:
    """Add blocks to a page or a block.

    Args:
        records: the workspace.
        parent: the page or block.
        body: the request: `children` and their place: `after` a block, or `position`.
        by: the user who asks.
    """
    only(body, ("children", "after", "position"))
    if parent.in_trash:
        raise invalid(ARCHIVED)
    new = blocks.read(body.get("children", UNDEFINED), "body.children")
    placed = _places(records, parent, body, len(new))
    added = [_insert(records, parent, one, by, place) for one, place in zip(new, placed, strict=True)]
    _touch(records, parent, by)
    return added


def _places(records: Records, parent: Record, body: dict[str, Any], count: int) -> list[float | None]:
    """Where new blocks go among their siblings; None for the end."""
    siblings = records.children(parent.id, "block")
    position = an_object(body.get("position") or {}, "body.position")
    after = body.get("after") or an_object(position.get("after_block") or {}, "body.position.after_block").get("id")
    places = [one.place for one in siblings]
    if position.get("type") == "start" and places:
        low, high = places[0] - 1, places[0]
    elif after:
        index = _index(siblings, an_id(after, "body.after"))
        if index + 1 == len(places):
            return [None] * count
        low, high = places[index], places[index + 1]
    else:
        return [None] * count
    return [low + (high - low) * (number + 1) / (count + 1) for number in range(count)]


def _index(siblings: list[Record], wanted: str) -> int:
    for index, one in enumerate(siblings):
        if one.id == wanted:
            return index
    raise not_found("block", wanted)


def _insert(records: Records, parent: Record, new: Block, by: str, place: float | None = None) -> Record:
    record = records.insert("block", parent.id, {"type": new.kind, "content": new.content}, by=by, place=place)
    for child in new.children:
        _insert(records, record, child, by)
    return record


def _touch(records: Records, record: Record, by: str) -> None:
    """Mark the page of a block as edited."""
    above: Record | None = record
    while above and above.kind == "block":
        above = records.get(above.parent or "")
    if above:
        records.save(above, by=by)


def update(records: Records, record: Record, body: dict[str, Any], by: str) -> Record:
    """Change a block's content, or move it to or from the trash."""
    kind = record.body.get("type", "")
    trash = body.get("in_trash", body.get("archived"))
    if record.in_trash and trash is not False:
        raise invalid(ARCHIVED)
    if kind in body:
        held = record.body["content"] | an_object(body[kind], f"body.{kind}")
        record.body["content"] = blocks.read_content(kind, held, f"body.{kind}")
    elif trash is None:
        raise invalid(f"Expected block type {kind} in request body")
    _touch(records, record, by)
    return records.save(record, by=by, in_trash=trash)


def trash(records: Records, record: Record, by: str) -> Record:
    """Move a block, a page or a database to the trash."""
    if record.in_trash:
        raise invalid(ARCHIVED)
    if record.kind == "block":
        _touch(records, record, by)
    return records.save(record, by=by, in_trash=True)


def erase(records: Records, parent: Record) -> None:
    """Delete every block of a page for good."""
    for record in records.children(parent.id, "block"):
        erase(records, record)
        records.remove([record])


def read_markdown(records: Records, page: Record, *, for_people: bool = False) -> str:
    """A page's blocks as Markdown, see `markdown_lines.render`."""
    return markdown_lines.render(_tree(records, page), for_people=for_people)


def _tree(records: Records, parent: Record) -> list[Block]:
    found = records.children(parent.id, "block")
    return [Block(one.body["type"], one.body["content"], _tree(records, one)) for one in found]


def write_markdown(records: Records, page: Record, text: Any, by: str) -> None:
    """Replace a page's blocks.

    Args:
        records: the workspace.
        page: the page.
        text: Markdown.
        by: the user who asks.
    """
    if page.in_trash:
        raise invalid(ARCHIVED)
    new = markdown.parse(a_text(text, "body.markdown", markdown.MAX_CHARS))
    erase(records, page)
    for one in new:
        _insert(records, page, one, by)
    _touch(records, page, by)


def edit_markdown(records: Records, page: Record, body: dict[str, Any], by: str) -> None:
    """`PATCH /pages/{id}/markdown`: one operation on the page's Markdown.

    Args:
        records: the workspace.
        page: the page.
        body: the request.
        by: the user who asks.
    """
    write_markdown(records, page, edits.edited(read_markdown(records, page), body), by)
