r"""Notion's Markdown, as far as emails need it: https://developers.notion.com/guides/data-apis/enhanced-markdown.

It differs from standard Markdown. Each line is a separate block, so empty lines are dropped and two paragraphs come
back as two lines; an empty paragraph is `<empty-block/>`; a child is indented with a tab; a line break within a block
is `<br>`; and these characters come back with a backslash, except in code: \ * ~ ` $ [ ] < > { } | ^. So a placeholder
comes back as \{\{ name \}\}.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from local.sandbox.notion import richtext
from local.sandbox.notion.blocks import HEADINGS, Block, block
from local.sandbox.notion.richtext import Piece

_EMPTY = "<empty-block/>"
_SPECIAL = re.compile(r"[\\*~`$\[\]<>{}|^]")
_SPECIAL_TO_PARSE = re.compile(r"[\\*~`\[\]]")
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
_MARKS = {"bold": "**", "italic": "*", "strikethrough": "~~"}
_INLINE = re.compile(
    r"""\\(?P<escaped>[!-/:-@\[-`{-~])
    |(?P<break><br\s*/?>)
    |`(?P<code>[^`]+)`
    |\[(?P<label>(?:\\.|[^\[\]\\])*)\]\((?P<url>(?:\{\{.*?\}\}|[^()\s])+)\)
    |\*\*(?=\S)(?P<bold>(?:\\.|[^\\])+?)(?<=\S)\*\*(?!\*)
    |\*(?=[^\s*])(?P<italic>(?:\\.|\*\*|[^\\*])+?)(?<=\S)\*(?!\*)
    |~~(?=\S)(?P<strikethrough>(?:\\.|[^\\])+?)(?<=\S)~~""",
    re.VERBOSE,
)


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
                return block(HEADINGS[min(len(match[1]), 4) - 1], inline(match[2]), **look)
            checked = {"checked": match[1] != " "} if kind == "to_do" else {}
            return block(kind, inline(match[2]), **checked, **look)
    return block("paragraph", inline(words), **look)


def inline(text: str) -> list[Piece]:
    """The pieces of one line.

    Args:
        text: Markdown without a block's marker.
    """
    merged: list[Piece] = []
    for words, link, style in _runs(text, None, {}):
        last = merged[-1] if merged else None
        if last and last["href"] == link and last["annotations"] == richtext.piece("", None, style)["annotations"]:
            merged[-1] = richtext.piece(last["plain_text"] + words, link, style)
        else:
            merged.append(richtext.piece(words, link, style))
    return merged


def _runs(text: str, link: str | None, style: dict[str, Any]) -> Iterator[tuple[str, str | None, dict[str, Any]]]:
    at = 0
    for match in _INLINE.finditer(text):
        if match.start() > at:
            yield text[at : match.start()], link, style
        at = match.end()
        kind = match.lastgroup or ""
        if kind == "escaped":
            yield match["escaped"], link, style
        elif kind == "break":
            yield "\n", link, style
        elif kind == "code":
            yield match["code"], link, style | {"code": True}
        elif kind == "url":
            yield from _runs(match["label"], match["url"], style)
        else:
            yield from _runs(match[kind], link, style | {kind: True})
    if at < len(text):
        yield text[at:], link, style


def render(blocks: list[Block], *, for_people: bool = False) -> str:
    """Blocks as Notion writes them.

    Args:
        blocks: the blocks.
        for_people: with only the backslashes that `parse` needs to return the same blocks.
    """
    return "\n".join(_lines(blocks, _SPECIAL_TO_PARSE if for_people else _SPECIAL, ""))


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
    words = _written(pieces, special)
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


def _written(pieces: list[Piece], special: re.Pattern[str], styles: tuple[str, ...] = ("href", *_MARKS)) -> str:
    """Pieces as Markdown: neighbors that share a link or a style share one pair of marks, the longest outermost."""
    written = ""
    while pieces:
        style = max(styles, key=lambda style: _shared(pieces, style), default="")
        count = _shared(pieces, style)
        if count:
            inside = _written(pieces[:count], special, tuple(other for other in styles if other != style))
            mark = _MARKS.get(style)
            written += f"{mark}{inside}{mark}" if mark else f"[{inside}]({pieces[0]['href']})"
        else:
            words = pieces[0]["plain_text"]
            code = pieces[0]["annotations"]["code"]
            written += f"`{words}`" if code else special.sub(lambda found: "\\" + found[0], words).replace("\n", "<br>")
        pieces = pieces[count or 1 :]
    return written


def _shared(pieces: list[Piece], style: str) -> int:
    """How many pieces, starting from the first, share a style or a link."""
    values = [piece["href"] if style == "href" else piece["annotations"].get(style) for piece in pieces]
    return sum(1 for _ in takewhile(lambda value: value and value == values[0], values))
