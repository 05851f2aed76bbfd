r"""Notion's Markdown, as far as emails need it: https://developers.notion.com/guides/data-apis/enhanced-markdown.

It differs from standard Markdown. Each line is a separate block, so empty lines are dropped and two paragraphs come
back as two lines; an empty paragraph is `<empty-block/>`; a child is indented with a tab; a line break within a block
is `<br>`; and these characters come back with a backslash, except in code: \ * ~ ` $ [ ] < > { } | ^. So a placeholder
comes back as \{\{ name \}\}.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from local.sandbox.notion import inline, richtext
from local.sandbox.notion.blocks import HEADINGS, Block, block

MAX_CHARS = 500_000
_EMPTY = "<empty-block/>"
_LINE = (
    (re.compile(r"(#{1,6})\s+(.*)"), "heading"),
    (re.compile(r"[-*+]\s+\[([ xX])\]\s+(.*)"), "to_do"),
    (re.compile(r"([-*+])\s+(.*)"), "bulleted_list_item"),
    (re.compile(r"(\d+[.)])\s+(.*)"), "numbered_list_item"),
    (re.compile(r"(>)\s?(.*)"), "quote"),
)
_MARKER = re.compile(r"(?:#{1,6}|[-+]|\d+[.)])(?=\s)|>|-{3,}$")
_DIVIDER = re.compile(r"(?:-{3,}|\*{3,})")
_COLOR = re.compile(r"""\s*\{color="(\w+)"\}$""")


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
        if not stripped:
            continue
        indent = line[: len(line) - len(line.lstrip())]
        depth = min(indent.count("\t") + indent.count(" ") // 2, len(levels) - 1)
        one = _code(stripped, lines) if stripped.startswith("```") else _block(stripped)
        del levels[depth + 1 :]
        levels[depth].append(one)
        if one.kind.endswith(("_item", "to_do")):
            levels.append(one.children)
    return top


def _code(opening: str, lines: Iterator[str]) -> Block:
    inside = []
    for line in lines:
        if line.strip() == "```":
            break
        inside.append(line)
    words = "\n".join(inside)
    return block("code", [richtext.piece(words)] if words else [], language=opening.strip("`") or "plain text")


def _block(line: str) -> Block:
    if line == _EMPTY:
        return block("paragraph")
    if _DIVIDER.fullmatch(line):
        return block("divider")
    color = _COLOR.search(line)
    words = line[: color.start()] if color else line
    look = {"color": color[1]} if color else {}
    for pattern, kind in _LINE:
        if match := pattern.fullmatch(words):
            if kind == "heading":
                return block(HEADINGS[min(len(match[1]), 4) - 1], inline.parse(match[2]), **look)
            checked = {"checked": match[1] != " "} if kind == "to_do" else {}
            return block(kind, inline.parse(match[2]), **checked, **look)
    return block("paragraph", inline.parse(words), **look)


def render(blocks: list[Block], *, for_people: bool = False) -> str:
    """Blocks as Notion writes them.

    Args:
        blocks: the blocks.
        for_people: with only the backslashes that `parse` needs to return the same blocks.
    """
    return "\n".join(_lines(blocks, inline.SPECIAL_TO_PARSE if for_people else inline.SPECIAL, ""))


def _lines(blocks: list[Block], special: re.Pattern[str], indent: str) -> Iterator[str]:
    number = 0
    for one in blocks:
        number = number + 1 if one.kind == "numbered_list_item" else 0
        yield indent + _line(one, number, special)
        yield from _lines(one.children, special, indent + "\t")


def _line(one: Block, number: int, special: re.Pattern[str]) -> str:
    if one.kind == "divider":
        return "---"
    pieces = one.content["rich_text"]
    if one.kind == "code":
        language = one.content["language"]
        return f"```{'' if language == 'plain text' else language}\n{richtext.plain(pieces)}\n```"
    words = inline.render(pieces, special)
    if one.kind == "paragraph":
        marker = _MARKER.match(words)
        words = f"{words[: marker.end() - 1]}\\{words[marker.end() - 1 :]}" if marker else words or _EMPTY
    prefix = {
        **{heading: "#" * level + " " for level, heading in enumerate(HEADINGS, 1)},
        "bulleted_list_item": "- ",
        "numbered_list_item": f"{number}. ",
        "to_do": "- [x] " if one.content.get("checked") else "- [ ] ",
        "quote": "> ",
    }.get(one.kind, "")
    color = one.content["color"]
    return prefix + words + ("" if color == "default" else f' {{color="{color}"}}')
