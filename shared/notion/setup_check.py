"""The owner's Notion workspace: whether each data source exists with the columns it needs, and how to fix what is
missing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from shared.core.errors import NotionError
from shared.core.settings import Settings
from shared.integrations.notion import Notion
from shared.notion.schema import SOURCES, Property, Source, own_name

# Which column types can hold what Evergreen writes, and be searched by it.
_FITS = {
    "title": {"title"},
    "email": {"email", "rich_text", "title"},
    "select": {"select", "status", "rich_text"},
    "rich_text": {"rich_text", "title", "select"},
    "number": {"number", "rich_text"},
    "date": {"date", "rich_text"},
    "checkbox": {"checkbox"},
}


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        level: `fault` (must be fixed), `note` (optional), `ok`.
        source: the data source's title.
        column: its name, if it is about one.
        message: the problem.
        fix: how to fix it.
    """

    level: Literal["fault", "note", "ok"]
    source: str
    column: str
    message: str
    fix: str = ""

    @property
    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


def check(notion: Notion, settings: Settings) -> list[Finding]:
    """Check every data source and every column.

    Args:
        notion: the workspace.
        settings: name the owner's databases and columns.
    """
    findings: list[Finding] = []
    for source in SOURCES:
        findings += _check_source(notion, source, settings)
    return findings


def _check_source(notion: Notion, source: Source, settings: Settings) -> list[Finding]:
    variable, id = source.setting.upper(), str(getattr(settings, source.setting))
    if not id:
        return [
            Finding(
                "note",
                source.title,
                "",
                f"{variable} is not set, so nothing is stored there",
                "`evergreen notion init` creates it",
            )
        ]
    try:
        columns = notion.schema(notion.data_source(id), fresh=True)
    except NotionError as error:
        fixes = {
            "gone": f"correct {variable}, and share the database with the integration (••• → Connections)",
            "denied": "correct NOTION_TOKEN: it is the secret of an internal integration of this workspace",
            "refused": f"correct {variable}: it is the 32 characters in the database's link before `?v=`",
        }
        return [Finding("fault", source.title, "", error.reason, fixes.get(error.kind, "try again in a minute"))]
    found = [_check_column(column, source, columns, settings) for column in (*source.properties, *source.own)]
    return [finding for finding in found if finding] or [Finding("ok", source.title, "", "all columns exist")]


def _check_column(column: Property, source: Source, columns: Mapping[str, str], settings: Settings) -> Finding | None:
    name = own_name(column.name, source, settings.notion_property_names)
    level: Literal["fault", "note"] = "fault" if column.required else "note"
    if name in columns:
        if columns[name] in _FITS[column.type]:
            return None
        fits = " or ".join(sorted(_FITS[column.type]))
        return Finding(
            level,
            source.title,
            name,
            f"is a {columns[name]} column, which cannot hold the value",
            f"make it {fits} in Notion",
        )
    if column.type == "title":
        title = next((own for own, type in columns.items() if type == "title"), "")
        return Finding(
            level, source.title, name, f"the title column is called {title!r}", _renaming(source, column, title)
        )
    alike = _alike(name, columns)
    if alike:
        return Finding(
            level, source.title, name, f"is missing, but there is {alike!r}", _renaming(source, column, alike)
        )
    return Finding(
        level, source.title, name, "is missing", "`evergreen notion init --add` adds it, or add it in Notion"
    )


def _alike(name: str, columns: Iterable[str]) -> str | None:
    """The column that was probably meant: same name except for case and spaces, or a typo."""
    squeezed = {own.casefold().replace(" ", "").replace("_", ""): own for own in columns}
    key = name.casefold().replace(" ", "").replace("_", "")
    close = [key] if key in squeezed else difflib.get_close_matches(key, squeezed, n=1, cutoff=0.9)
    return squeezed[close[0]] if close and not name[-1].isdigit() and squeezed[close[0]] != name else None


def _renaming(source: Source, column: Property, own: str) -> str:
    return f"rename it to {column.name!r} in Notion, or set NOTION_PROPERTY_NAMES={source.key}.{column.name}={own}"
