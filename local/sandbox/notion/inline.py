"""The text of one block as Markdown: its links, styles, line breaks and backslashes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from local.sandbox.notion import richtext
from local.sandbox.notion.richtext import Piece

SPECIAL = re.compile(r"[\\*~`$\[\]<>{}|^]")
SPECIAL_TO_PARSE = re.compile(r"[\\*~`\[\]]")
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


def parse(text: str) -> list[Piece]:
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


def render(pieces: list[Piece], special: re.Pattern[str], styles: tuple[str, ...] = ("href", *_MARKS)) -> str:
    """Pieces as Markdown: neighbors that share a link or a style share one pair of marks, the longest outermost.

    Args:
        pieces: the pieces.
        special: the characters to write with a backslash.
        styles: the styles to write.
    """
    written = ""
    while pieces:
        style = max(styles, key=lambda style: _shared(pieces, style), default="")
        count = _shared(pieces, style)
        if count:
            inside = render(pieces[:count], special, tuple(other for other in styles if other != style))
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
