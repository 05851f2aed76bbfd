r"""Notion's Markdown, as far as emails need it: https://developers.notion.com/guides/data-apis/enhanced-markdown.

It differs from standard Markdown. Each line is a separate block, so empty lines are dropped and two paragraphs come
back as two lines; an empty paragraph is `<empty-block/>`; a child is indented with a tab; a line break within a block
is `<br>`; callouts, toggles, columns and tables are written between tags; and these characters come back with a
backslash, except in code: \ * ~ ` $ [ ] < > { } | ^. So a placeholder comes back as \{\{ name \}\}.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from local.sandbox.notion import inline, richtext
from local.sandbox.notion.blocks import HEADINGS, Block, block
from local.sandbox.notion.markdown_lines import BOXES, EMPTY

MAX_CHARS = 500_000
_LINE = (
    (re.compile(r"(#{1,6})\s+(.*)"), "heading"),
    (re.compile(r"[-*+]\s+\[([ xX])\]\s+(.*)"), "to_do"),
    (re.compile(r"([-*+])\s+(.*)"), "bulleted_list_item"),
    (re.compile(r"(\d+[.)])\s+(.*)"), "numbered_list_item"),
    (re.compile(r"(>)\s?(.*)"), "quote"),
)
_DIVIDER = re.compile(r"(?:-{3,}|\*{3,})")
_LOOK = re.compile(r"""\s*\{(toggle="true")?\s*(?:color="(\w+)")?\}$""")
_OPENING = re.compile(rf"<({'|'.join(BOXES)})\b([^>]*)>")
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_IMAGE = re.compile(r"!\[((?:\\.|[^\[\]\\])*)\]\(([^()\s]+)\)")
_BOOKMARK = re.compile(r'<bookmark url="([^"]+)">(.*)</bookmark>')


def parse(text: str) -> list[Block]:
    """The blocks of a text.

    Args:
        text: Markdown.
    """
    top: list[Block] = []
    levels = [top]
    lines = iter(text.split("\n"))
    for line in lines:
        stripped = line.strip()
        indent = line[: len(line) - len(line.lstrip())]
        depth = min(indent.count("\t") + indent.count(" ") // 2, len(levels) - 1)
        above = levels[depth][-1] if levels[depth] else None
        if not stripped or _closes(stripped, above):
            continue
        one = _code(stripped, lines) if stripped.startswith("```") else _table(stripped, lines) or _block(stripped)
        del levels[depth + 1 :]
        levels[depth].append(one)
        if one.kind.endswith(("_item", "to_do")) or one.kind in BOXES.values() or one.content.get("is_toggleable"):
            levels.append(one.children)
    return top


def _closes(line: str, above: Block | None) -> bool:
    """Whether a line ends or names the block above it, and is none itself."""
    if above is None or above.kind not in BOXES.values():
        return False
    if above.kind == "toggle" and (summary := re.fullmatch(r"<summary>(.*)</summary>", line)):
        above.content["rich_text"] = inline.parse(summary[1])
        return True
    tag = next(tag for tag, kind in BOXES.items() if kind == above.kind)
    if line != f"</{tag}>":
        return False
    if above.kind == "callout" and above.children and above.children[0].kind == "paragraph":
        above.content["rich_text"] = above.children.pop(0).content["rich_text"]
    return True


def _table(opening: str, lines: Iterator[str]) -> Block | None:
    if not re.fullmatch(r"<table\b[^>]*>", opening):
        return None
    inside = "\n".join(takewhile(lambda line: line.strip() != "</table>", lines))
    rows = [
        block("table_row", cells=[inline.parse(cell) for cell in re.findall(r"<td\b[^>]*>(.*?)</td>", row)])
        for row in inside.split("</tr>")[:-1]
    ]
    looks = dict(_ATTRIBUTE.findall(opening))
    headers: Any = {
        "has_column_header": looks.get("header-row") == "true",
        "has_row_header": looks.get("header-column") == "true",
    }
    one = block("table", table_width=max((len(row.content["cells"]) for row in rows), default=1), **headers)
    one.children = rows
    return one


def _code(opening: str, lines: Iterator[str]) -> Block:
    inside = []
    for line in lines:
        if line.strip() == "```":
            break
        inside.append(line)
    words = "\n".join(inside)
    return block("code", [richtext.piece(words)] if words else [], language=opening.strip("`") or "plain text")


def _block(line: str) -> Block:
    if line == EMPTY:
        return block("paragraph")
    if _DIVIDER.fullmatch(line):
        return block("divider")
    if opening := _OPENING.fullmatch(line):
        return _box(opening[1], dict(_ATTRIBUTE.findall(opening[2])))
    if image := _IMAGE.fullmatch(line):
        return block("image", caption=inline.parse(image[1]), external={"url": image[2]})
    if bookmark := _BOOKMARK.fullmatch(line):
        return block("bookmark", caption=inline.parse(bookmark[2]), url=bookmark[1])
    found = _LOOK.search(line)
    words = line[: found.start()] if found else line
    look: Any = {"color": found[2]} if found and found[2] else {}
    for pattern, kind in _LINE:
        if match := pattern.fullmatch(words):
            if kind == "heading":
                look |= {"is_toggleable": True} if found and found[1] else {}
                return block(HEADINGS[min(len(match[1]), 4) - 1], inline.parse(match[2]), **look)
            checked: Any = {"checked": match[1] != " "} if kind == "to_do" else {}
            return block(kind, inline.parse(match[2]), **checked, **look)
    return block("paragraph", inline.parse(words), **look)


def _box(tag: str, looks: dict[str, str]) -> Block:
    if tag.startswith("column"):
        return block(BOXES[tag])
    icon: Any = {"icon": {"type": "emoji", "emoji": looks["icon"]}} if "icon" in looks else {}
    return block(BOXES[tag], color=looks.get("color", "default"), **icon)
