"""A template's Markdown: parsed, checked for what no mail program should get, and written as HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from shared.emails.placeholders import LINKS
from shared.emails.plaintext import plain_text
from shared.emails.slots import Fault, Slots

_MARKDOWN = MarkdownIt("commonmark", {"html": False, "typographer": True}).enable("smartquotes")
# markdown-it would print a bad link as text; _address refuses it
_MARKDOWN.validateLink = lambda url: True  # type: ignore[method-assign]


def parse(text: str, slots: Slots) -> list[Token]:
    """The text's tokens, with its links' addresses ready to be filled.

    Args:
        text: after enough empty lines to keep its line numbers, with words for its placeholders.
        slots: the placeholders.

    Raises:
        Fault: for braces that are left over, an unsafe link, or an image without a full address.
    """
    tokens = _MARKDOWN.parse(text)
    for token in tokens:
        line = token.map[0] + 1 if token.map else 1
        if "{{" in html([token]) or (token.type == "inline" and "{{" in plain_text([token])):
            raise Fault(line, "braces are left over; write a placeholder without backslashes or entities")
        for child in token.children or ():
            if child.type in ("softbreak", "hardbreak"):
                line += 1
            _check_address(child, slots, line)
    return tokens


def html(tokens: Sequence[Token]) -> str:
    """The tokens as HTML."""
    return str(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))


def _check_address(token: Token, slots: Slots, line: int) -> None:
    """Check where a link leads, or where an image comes from."""
    if token.type == "link_open":
        token.attrs["href"] = _address(str(token.attrs["href"]), slots, line)
    elif token.type == "image" and not re.fullmatch(
        rf"https://(?:(?!{slots.word.pattern}).)+", str(token.attrs["src"])
    ):
        raise Fault(line, "an image needs a full address that begins with https:// and contains no placeholder")


def _address(href: str, slots: Slots, line: int) -> str:
    if first := slots.word.match(href):
        usable = slots.used[int(first[1])].name in LINKS
    else:
        start = re.match(r"https?://[^/?#]+|mailto:[^?]+|tel:.+", href)
        usable = start is not None and not slots.word.search(start[0])
    if not usable:
        raise Fault(
            line,
            "a link's address is not safe; begin it with https://, mailto: or tel:, or use {{ booking_url }}",
        )
    return slots.address(href)
