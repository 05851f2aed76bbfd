"""Blocks: what is accepted and what is kept (https://developers.notion.com/reference/block)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from local.sandbox.notion import richtext
from local.sandbox.notion.wording import UNDEFINED, a_text, an_array, an_object, invalid, should_be

HEADINGS = ("heading_1", "heading_2", "heading_3", "heading_4")
EXTRAS: dict[str, dict[str, Any]] = {
    "paragraph": {"icon": None},
    **{heading: {"is_toggleable": False} for heading in HEADINGS},
    "bulleted_list_item": {},
    "numbered_list_item": {},
    "to_do": {"checked": False},
    "toggle": {},
    "quote": {},
    "callout": {"icon": None},
    "code": {"caption": [], "language": "plain text"},
    "divider": {},
    "image": {"caption": [], "type": "external", "external": {"url": ""}},
    "bookmark": {"caption": [], "url": ""},
    "table": {"table_width": 1, "has_column_header": False, "has_row_header": False},
    "table_row": {"cells": []},
    "column_list": {},
    "column": {},
}
WITHOUT_TEXT = ("divider", "image", "bookmark", "table", "table_row", "column_list", "column")
CHILD_OF = {"table_row": "table", "column": "column_list"}
MAX_BLOCKS = 1000


@dataclass
class Block:
    """A block that is not yet stored.

    Attributes:
        kind: its type, one of EXTRAS.
        content: what Notion returns under the type's name.
        children: the blocks in it.
    """

    kind: str
    content: dict[str, Any]
    children: list[Block] = field(default_factory=list)


def block(kind: str, pieces: list[richtext.Piece] | None = None, **changes: Any) -> Block:
    """A block as Notion creates it.

    Args:
        kind: its type.
        pieces: its text, if it can have some.
        changes: differences from the defaults.
    """
    if kind in WITHOUT_TEXT:
        return Block(kind, EXTRAS[kind] | changes)
    color = {} if kind == "code" else {"color": "default"}
    return Block(kind, {"rich_text": pieces or [], **EXTRAS[kind], **color, **changes})


def read(values: Any, path: str, parent: str = "") -> list[Block]:
    """Check the blocks of a request.

    Args:
        values: the list.
        path: where it is.
        parent: the type of the block that they are in.
    """
    blocks = [_read_block(one, f"{path}[{index}]") for index, one in enumerate(an_array(values, path))]
    if (count := _count(blocks)) > MAX_BLOCKS:
        raise should_be(f"{path}.length", f"≤ `{MAX_BLOCKS}`", count)
    for one in blocks:
        if parent != CHILD_OF.get(one.kind, "" if parent in CHILD_OF.values() else parent):
            raise invalid(f"Block of type {one.kind} is not supported as a child of {parent or 'page'}.")
    return blocks


def _count(blocks: list[Block]) -> int:
    return sum(1 + _count(one.children) for one in blocks)


def _read_block(value: Any, path: str) -> Block:
    given = an_object(value, path)
    kind = next((one for one in EXTRAS if one in given), None)
    if kind is None:
        raise should_be(
            f"{path}.paragraph", "defined", next((inner for inner in given.values() if isinstance(inner, dict)), {})
        )
    content = an_object(given[kind], f"{path}.{kind}")
    return Block(
        kind,
        read_content(kind, content, f"{path}.{kind}"),
        read(content.get("children", []), f"{path}.{kind}.children", kind),
    )


def read_content(kind: str, given: dict[str, Any], path: str) -> dict[str, Any]:
    """Check a block's content.

    Args:
        kind: its type.
        given: the content as it was sent.
        path: where it is.
    """
    read_text = {
        name: richtext.read(given[name], f"{path}.{name}") for name in ("rich_text", "caption") if name in given
    }
    if kind == "table_row":
        cells = enumerate(an_array(given.get("cells", UNDEFINED), f"{path}.cells"))
        return {"cells": [richtext.read(cell, f"{path}.cells[{index}]") for index, cell in cells]}
    if kind == "image":
        _url(an_object(given.get("external", UNDEFINED), f"{path}.external"), f"{path}.external")
    if kind == "bookmark":
        _url(given, path)
    whole = block(kind).content
    return (
        whole
        | {name: given[name] for name in whole if name in given}
        | {name: read_text[name] for name in whole if name in read_text}
    )


def _url(given: dict[str, Any], path: str) -> None:
    a_text(given.get("url", UNDEFINED), f"{path}.url", richtext.MAX_URL, at_least=1)
