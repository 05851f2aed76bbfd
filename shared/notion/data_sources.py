"""Finds the owner's data sources in Notion, also where a database has several or the ids are mixed up."""

from __future__ import annotations

from shared.core.errors import NotionError
from shared.core.settings import Settings
from shared.integrations.notion import Notion
from shared.notion.schema import Source, likeness, mistaken_for, usable_key


def locate(notion: Notion, source: Source, settings: Settings) -> str:
    """The id of one of the owner's data sources.

    Args:
        notion: the workspace.
        source: which one.
        settings: name the owner's databases and columns.

    Raises:
        NotionError: if Notion does not return it, or it is another one.
    """
    names, variable = settings.notion_property_names, source.setting.upper()
    found = notion.data_sources(str(getattr(settings, source.setting)))
    columns = {id: notion.schema(id) for id in found}
    alike = {id: likeness(source, columns[id], names) for id in found if usable_key(source, columns[id], names)}
    best = [id for id, share in alike.items() if share == max(alike.values())]
    named = [id for id in best or found if found[id].strip().casefold() == source.title.casefold()]
    chosen = next((ids[0] for ids in (best, named, list(found)) if len(ids) == 1), None)
    if chosen is None:
        raise NotionError(
            "refused",
            f"its database has {len(found)} data sources ({', '.join(found.values())}): rename the right one to "
            f"{source.title!r}, or set {variable} to its own id (••• → Manage data sources → Copy data source ID)",
        )
    if other := mistaken_for(source, columns[chosen], names):
        raise NotionError("refused", f"{variable} is the id of your {other.title}")
    return chosen
