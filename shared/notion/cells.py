"""Read a Notion row by Evergreen's column names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.core.settings import Settings
from shared.domain import timing
from shared.integrations.notion_values import plain
from shared.notion import schema
from shared.notion.schema import Source

MINUTE = 60_000


@dataclass(frozen=True)
class Cells:
    """A row, by Evergreen's column names."""

    page: Mapping[str, Any]
    source: Source
    settings: Settings

    @property
    def id(self) -> str:
        """The page's id."""
        return str(self.page["id"])

    @property
    def created(self) -> int | None:
        """When the row was created, in milliseconds since 1970 UTC."""
        return _instant(self.page["created_time"], "UTC")

    def text(self, name: str) -> str | None:
        """The value of a column; None if it is empty or missing."""
        return plain(
            self.page["properties"].get(schema.own_name(name, self.source, self.settings.notion_property_names))
        )

    def instant(self, name: str, *, up: bool = False) -> int | None:
        """A date in milliseconds since 1970 UTC.

        Args:
            name: the column.
            up: round up what Notion drops: the seconds, or the time of day.
        """
        return _instant(self.text(name), self.settings.business_timezone, up=up)


def _instant(text: str | None, zone: str, *, up: bool = False) -> int | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timing.zone(None, zone))
    at = round(moment.timestamp() * 1000)
    if not up or moment.second or moment.microsecond:
        return at
    return at + (timing.DAY if len(text or "") == 10 else MINUTE)
