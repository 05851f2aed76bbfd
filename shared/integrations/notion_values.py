"""Values as Notion takes and returns them: a page's properties, dates, and the id in a link."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.core.errors import NotionError

TEXT_LIMIT = 2000
Value = str | int | float | bool | None


@dataclass(frozen=True)
class Column:
    """A property of a data source, as it is in Notion.

    Attributes:
        type: its type.
        id: it stays when the property is renamed.
        options: of a status, which takes no other value; Notion adds an unknown option to a select by itself.
    """

    type: str
    id: str = ""
    options: tuple[str, ...] = ()

    @classmethod
    def of(cls, property: Mapping[str, Any]) -> Column:
        """A property as Notion describes it."""
        type = str(property["type"])
        options = property[type].get("options", []) if type == "status" else []
        return cls(type, str(property["id"]), tuple(option["name"] for option in options))

    def option(self, value: str) -> str | None:
        """The option of a status for a value, in any case; None if it has none."""
        return next((option for option in self.options if option.casefold() == value.casefold()), None)


def write(column: Column, value: Value) -> dict[str, Any] | None:
    """A value as Notion takes it for a column; None if the column cannot hold it.

    Args:
        column: the column.
        value: text, a number or a tick; an instant is ISO 8601 text. None clears the property.
    """
    text, type = "" if value is None else str(value), column.type
    match type:
        case "title" | "rich_text":
            return {type: [{"text": {"content": text[:TEXT_LIMIT]}}] if text else []}
        case "select":
            return {type: {"name": text.replace(",", " ")[:100]} if text else None}
        case "status":
            option = column.option(text)
            return {type: {"name": option}} if option else None if text else {type: None}
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
        names = ", ".join(part["name"] for part in value if "name" in part)  # a multi-select's
        return "".join(part.get("plain_text", "") for part in value) or names or None
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
