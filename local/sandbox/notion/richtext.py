"""Rich text: a list of pieces, each with its style (https://developers.notion.com/reference/rich-text)."""

from __future__ import annotations

import re
from typing import Any

from local.sandbox.notion.wording import UNDEFINED, a_text, an_array, an_object, invalid, only

MAX_CHARS = 2000
MAX_URL = 2000
STYLES = ("bold", "italic", "strikethrough", "underline", "code")
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*:|/|#).+", re.IGNORECASE | re.DOTALL)

Piece = dict[str, Any]


def piece(content: str, link: str | None = None, annotations: dict[str, Any] | None = None) -> Piece:
    """One piece as Notion returns it.

    Args:
        content: the text.
        link: a URL.
        annotations: what differs from plain.
    """
    plain: dict[str, Any] = dict.fromkeys(STYLES, False) | {"color": "default"}
    return {
        "type": "text",
        "text": {"content": content, "link": {"url": link} if link else None},
        "annotations": plain | (annotations or {}),
        "plain_text": content,
        "href": link,
    }


def plain(pieces: list[Piece]) -> str:
    """The text without styles."""
    return "".join(one["plain_text"] for one in pieces)


def read(value: Any, path: str) -> list[Piece]:
    """Check the rich text of a request, and return it as Notion does.

    Args:
        value: the list.
        path: where it is.
    """
    return [_read_piece(one, f"{path}[{index}]") for index, one in enumerate(an_array(value, path))]


def _read_piece(value: Any, path: str) -> Piece:
    given = an_object(value, path)
    text = an_object(given.get("text", UNDEFINED), f"{path}.text")
    content = a_text(text.get("content", UNDEFINED), f"{path}.text.content", MAX_CHARS)
    link = text.get("link")
    url = (
        a_text(an_object(link, f"{path}.text.link").get("url", UNDEFINED), f"{path}.text.link.url", MAX_URL)
        if link
        else None
    )
    if url and not _URL.fullmatch(url):
        raise invalid("Invalid URL for link.")
    annotations = an_object(given.get("annotations") or {}, f"{path}.annotations")
    only(annotations, (*STYLES, "color"), f"{path}.annotations")
    return piece(content, url, annotations)
