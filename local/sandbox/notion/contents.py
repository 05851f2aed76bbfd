"""The content of a page: its blocks, also as Markdown."""

from __future__ import annotations

import re
from typing import Any

from local.sandbox.notion import blocks, markdown
from local.sandbox.notion.blocks import Block
from local.sandbox.notion.records import Record, Records
from local.sandbox.notion.wording import (
    ARCHIVED,
    UNDEFINED,
    a_text,
    an_array,
    an_id,
    an_object,
    invalid,
    not_found,
    only,
    should_be,
)

MAX_MARKDOWN = 500_000


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
    position = an_object(body.get("position") or {}, "body.position")
    after = body.get("after") or an_object(position.get("after_block") or {}, "body.position.after_block").get("id")
    siblings = records.children(parent.id, "block")
    if position.get("type") == "start" and siblings:
        low, high = siblings[0].place - 1, siblings[0].place
    elif after:
        wanted = an_id(after, "body.after")
        index = next((index for index, one in enumerate(siblings) if one.id == wanted), None)
        if index is None:
            raise not_found("block", wanted)
        if index + 1 == len(siblings):
            return [None] * count
        low, high = siblings[index].place, siblings[index + 1].place
    else:
        return [None] * count
    return [low + (high - low) * (number + 1) / (count + 1) for number in range(count)]


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
    """A page's blocks as Markdown, see `markdown.render`."""
    return markdown.render(_tree(records, page), for_people=for_people)


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
    new = markdown.parse(a_text(text, "body.markdown", MAX_MARKDOWN))
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
    operations = {
        "replace_content": _replaced,
        "update_content": _updated,
        "insert_content": _inserted,
        "replace_content_range": _in_range,
    }
    kind = body.get("type", UNDEFINED)
    if kind not in operations:
        raise should_be("body.type", "one of " + ", ".join(f'`"{name}"`' for name in operations), kind)
    only(body, ("type", kind))
    details = an_object(body.get(kind, UNDEFINED), f"body.{kind}")
    write_markdown(records, page, operations[kind](read_markdown(records, page), details, f"body.{kind}"), by)


def _text(details: dict[str, Any], name: str, path: str) -> str:
    return a_text(details.get(name, UNDEFINED), f"{path}.{name}", MAX_MARKDOWN)


def _replaced(_now: str, details: dict[str, Any], path: str) -> str:
    return _text(details, "new_str", path)


def _updated(now: str, details: dict[str, Any], path: str) -> str:
    for index, edit in enumerate(an_array(details.get("content_updates", UNDEFINED), f"{path}.content_updates")):
        where = f"{path}.content_updates[{index}]"
        one = an_object(edit, where)
        old, new = _text(one, "old_str", where), _text(one, "new_str", where)
        if not old or old not in now:
            raise invalid(f"Could not find old_str in the page content: {old}")
        now = now.replace(old, new) if one.get("replace_all_matches") else now.replace(old, new, 1)
    return now


def _selected(now: str, selection: str) -> re.Match[str]:
    """The text selected by an ellipsis, `start...end`."""
    start, _, end = selection.partition("...")
    match = re.search(re.escape(start) + ".*?" + re.escape(end), now, re.DOTALL) if selection else None
    if match is None:
        raise invalid(f"Could not find the selection in the page content: {selection}")
    return match


def _inserted(now: str, details: dict[str, Any], path: str) -> str:
    new = _text(details, "content", path)
    position = an_object(details.get("position") or {}, f"{path}.position")
    if details.get("after"):
        at = _selected(now, _text(details, "after", path)).end()
        return f"{now[:at]}\n{new}\n{now[at:]}"
    return f"{new}\n{now}" if position.get("type") == "start" else f"{now}\n{new}"


def _in_range(now: str, details: dict[str, Any], path: str) -> str:
    match = _selected(now, _text(details, "content_range", path))
    return now[: match.start()] + _text(details, "content", path) + now[match.end() :]
