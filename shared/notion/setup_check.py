"""The owner's Notion workspace: whether each data source exists with the columns it needs, and how to fix what is
missing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from redis.exceptions import RedisError

from shared.core.errors import NotionError
from shared.core.settings import Settings
from shared.integrations.notion import Notion
from shared.integrations.notion_values import Column
from shared.ledger.notion_columns import NotionColumns
from shared.notion.data_sources import locate
from shared.notion.schema import FITS, SOURCES, Property, Source, own_name

ID = "it is the 32 characters in the database's link before `?v=`"


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
    def sentence(self) -> str:
        """All of it, for an alert."""
        return f"{self.source}: {self.column} {self.message}; {self.fix}".replace(":  ", ": ")

    @property
    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


def check(notion: Notion, settings: Settings, known: NotionColumns | None = None) -> list[Finding]:
    """Check every data source and every column.

    Args:
        notion: the workspace.
        settings: name the owner's databases and columns.
        known: which columns were there; without it, only a required column that is missing is a fault.
    """
    findings: list[Finding] = []
    for source in SOURCES:
        try:
            findings += check_source(notion, source, settings, known) or [
                Finding("ok", source.title, "", "all columns exist")
            ]
        except NotionError as error:
            findings.append(unreadable(source, error))
    return findings


def check_source(
    notion: Notion, source: Source, settings: Settings, known: NotionColumns | None = None
) -> list[Finding]:
    """What is wrong with a data source; raises NotionError."""
    if not getattr(settings, source.setting):
        message = f"{source.setting.upper()} is not set, so nothing is stored there"
        return [Finding("note", source.title, "", message, "`evergreen notion init` creates it")]
    id = locate(notion, source, settings)
    columns = notion.schema(id, fresh=True)
    try:
        seen = known.seen(id) if known else {}
    except RedisError:  # Notion can be checked without it
        seen = {}
    return check_columns(source, columns, settings, seen)


def check_columns(
    source: Source, columns: Mapping[str, Column], settings: Settings, seen: Mapping[str, str]
) -> list[Finding]:
    """What is wrong with the columns of a data source.

    Args:
        source: the data source.
        columns: as they are in Notion.
        settings: name the owner's columns.
        seen: the columns that were there: Evergreen's name of each, and its id in Notion.
    """
    found = (_check_column(column, source, columns, settings, seen) for column in source.all)
    return [finding for finding in found if finding]


def unreadable(source: Source, error: NotionError) -> Finding:
    """The finding about a data source that Notion does not return."""
    variable = source.setting.upper()
    fixes = {
        "gone": f"share the database with the integration (••• → Connections), or correct {variable}: {ID}",
        "trashed": f"restore it there, or set {variable} to another database",
        "denied": "correct NOTION_TOKEN: it is the secret of an internal integration of this workspace",
        "refused": f"correct {variable}: {ID}",
    }
    return Finding("fault", source.title, "", error.reason, fixes.get(error.kind, "try again in a minute"))


def _check_column(
    column: Property, source: Source, columns: Mapping[str, Column], settings: Settings, seen: Mapping[str, str]
) -> Finding | None:
    name = own_name(column.name, source, settings.notion_property_names)
    if name in columns:
        message, fix = _misfit(column, source, columns[name])
        return Finding("fault", source.title, name, message, fix) if message else None
    return Finding(
        "fault" if column.required or column.name in seen else "note",
        source.title,
        name,
        *_missing(column, name, source, columns, seen.get(column.name)),
    )


def _misfit(column: Property, source: Source, there: Column) -> tuple[str, str]:
    """Why a column cannot hold every value, and the fix; empty if it can."""
    if not column.fits(there):
        return f"is a {there.type} column, which cannot hold the value", f"make it {_or(FITS[column.type])} in Notion"
    if there.type != "status":
        return "", ""
    if not column.options and column in source.properties:
        return "is a status, to which Evergreen cannot add options", "make it a select in Notion"
    # the owner fills these columns: only the first option has a meaning to Evergreen
    wanted = column.options if column in source.properties else column.options[:1]
    if missing := [option for option in wanted if not there.option(option)]:
        names = ", ".join(f"“{option}”" for option in missing)
        fix = f"add {names} to its options in Notion, or make it a select"
        return f"is a status without the option {names}, so that value is left out", fix
    return "", ""


def _missing(
    column: Property, name: str, source: Source, columns: Mapping[str, Column], id: str | None
) -> tuple[str, str]:
    """What became of a column that is not there, and the fix; `id` is what it had in Notion."""
    if now := next((own for own, there in columns.items() if there.id == id), None):
        return f"is now called {now!r}", _renaming(source, column, now)
    if column.type == "title":
        title = next((own for own, there in columns.items() if there.type == "title"), "")
        return f"the title column is called {title!r}", _renaming(source, column, title)
    if alike := _alike(name, columns):
        return f"is missing, but there is {alike!r}", _renaming(source, column, alike)
    return "is missing", "`evergreen notion init --add` adds it, or add it in Notion"


def _or(words: Iterable[str]) -> str:
    return " or ".join(sorted(words))


def _alike(name: str, columns: Iterable[str]) -> str | None:
    """The column that was probably meant: same name except for case and spaces, or a typo."""
    squeezed = {own.casefold().replace(" ", "").replace("_", ""): own for own in columns}
    key = name.casefold().replace(" ", "").replace("_", "")
    close = [key] if key in squeezed else difflib.get_close_matches(key, squeezed, n=1, cutoff=0.9)
    numbered = any(character.isdigit() for character in name)  # Email 7 Sent was not meant to be Email 3 Sent
    return squeezed[close[0]] if close and not numbered and squeezed[close[0]] != name else None


def _renaming(source: Source, column: Property, own: str) -> str:
    return f"rename it to {column.name!r} in Notion, or set NOTION_PROPERTY_NAMES={source.key}.{column.name}={own}"
