"""Values as Notion takes and returns them: a page's properties, dates, and the id in a link."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from shared.core.errors import NotionError

TEXT_LIMIT = 2000
Value = str | int | float | bool | None


def write(type: str, value: Value) -> dict[str, Any] | None:
    """A value as Notion takes it for a property of a given type; None for a type that cannot be written.

    Args:
        type: the property's type in Notion.
        value: text, a number or a tick; an instant is ISO 8601 text. None clears the property.
    """
    text = "" if value is None else str(value)
    match type:
        case "title" | "rich_text":
            return {type: [{"text": {"content": text[:TEXT_LIMIT]}}] if text else []}
        case "select" | "status":
            return {type: {"name": text.replace(",", " ")[:100]} if text else None}
        case "multi_select":
            return {type: [{"name": text.replace(",", " ")[:100]}] if text else []}
        case "date":
            return {type: {"start": text} if text else None}
        case "number":
            return {type: number(text)}
        case "checkbox":
            return {type: bool(value)}
        case "email" | "url" | "phone_number":
            return {type: text or None}
    return None


def page_id(link: str) -> str:
    """The id in a Notion link, or the id itself.

    Args:
        link: such as `https://www.notion.so/My-page-0123456789abcdef0123456789abcdef?v=...`.

    Raises:
        NotionError: if it contains no id.
    """
    found = re.search(r"[0-9a-f]{32}$", re.split(r"[?#]", link.strip())[0].rstrip("/").replace("-", "").lower())
    if not found:
        raise NotionError("refused", "that is not a Notion link or id; copy the link of the page (••• → Copy link)")
    return found[0]


def plain(property: Mapping[str, Any] | None) -> str | None:
    """The value of a page's property as text; None if it is empty or missing."""
    if not property:
        return None
    value = property[property["type"]]
    if isinstance(value, list):
        return "".join(part.get("plain_text", "") for part in value) or None
    if isinstance(value, dict):
        value = value.get("name") or value.get("start")
    return None if value is None else str(value)


def iso(instant: int | None) -> str | None:
    """Milliseconds since 1970 UTC as Notion takes a date."""
    return None if instant is None else datetime.fromtimestamp(instant / 1000, UTC).isoformat(timespec="milliseconds")


def number(text: str | None) -> float | None:
    """A text as a number; None if it is not one."""
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) else None
