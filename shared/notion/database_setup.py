"""Creates what the owner's Notion workspace lacks: databases, and columns in those that exist."""

from __future__ import annotations

from typing import Any

from shared.core.settings import Settings
from shared.integrations.notion import Notion
from shared.notion.data_sources import locate
from shared.notion.schema import SOURCES, Property, Source, own_name


def init(notion: Notion, settings: Settings, *, parent: str | None, add: bool) -> list[tuple[Source, str, list[str]]]:
    """Create the databases that no setting names and, if asked, add missing columns to the others. Existing columns
    stay as they are.

    Args:
        notion: the workspace.
        settings: name the owner's databases.
        parent: the page under which to create databases; None creates none.
        add: whether to add columns to existing databases.

    Returns:
        For each changed data source: itself, the id of its database, and the new columns.

    Raises:
        NotionError: when Notion refuses; earlier changes stay.
    """
    changed = []
    for source in SOURCES:
        id = str(getattr(settings, source.setting))
        if not id and parent:
            changed.append((source, *_create(notion, source, parent)))
        elif id and add and (added := _add_missing(notion, source, settings)):
            changed.append((source, id, added))
    return changed


def _create(notion: Notion, source: Source, parent: str) -> tuple[str, list[str]]:
    columns = {column.name: _configuration(column) for column in source.all}
    return notion.create_database(parent, source.title, columns), list(columns)


def _add_missing(notion: Notion, source: Source, settings: Settings) -> list[str]:
    data_source = locate(notion, source, settings)
    there = notion.schema(data_source, fresh=True)
    missing = {
        name: _configuration(column)
        for column in source.all
        if (name := own_name(column.name, source, settings.notion_property_names)) not in there
        and column.type != "title"
    }
    if missing:
        notion.add_properties(data_source, missing)
    return list(missing)


def _configuration(column: Property) -> dict[str, Any]:
    if column.type == "select":
        return {"select": {"options": [{"name": option} for option in column.options]}}
    return {column.type: {"format": "number"} if column.type == "number" else {}}
