"""What Evergreen keeps in Notion: four data sources, their properties, and the owner's names for these.

Data and pure functions only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.segments import SEGMENTS
from shared.domain.states import EnrollmentState
from shared.integrations.notion_values import Column, Value, write

NUMBERED = 7  # the tracker has a column for each of the first seven emails
# Which column types can hold what Evergreen writes, and be searched by it.
FITS = {
    "title": {"title", "rich_text"},
    "email": {"email", "rich_text", "title"},
    "select": {"select", "status", "multi_select", "rich_text", "title"},
    "rich_text": {"rich_text", "title", "select"},
    "number": {"number", "rich_text", "select"},
    "date": {"date", "rich_text"},
    "checkbox": {"checkbox"},
}


@dataclass(frozen=True)
class Property:
    """A column: its name, the type that `notion init` gives it, whether it is required, and a select's options."""

    name: str
    type: str
    required: bool = False
    options: tuple[str, ...] = ()

    def fits(self, there: Column) -> bool:
        """Whether a column in Notion can hold this one's values."""
        return there.type in FITS[self.type]


@dataclass(frozen=True)
class Source:
    """A data source.

    Attributes:
        key: its name in settings and messages.
        title: the name that `notion init` gives the database.
        setting: the variable with the id of the owner's database.
        properties: its columns.
        keys: the essential columns: a row can be found, and so is written, if all columns of one of these are there.
        own: columns that the owner fills; Evergreen never writes them.
    """

    key: str
    title: str
    setting: str
    properties: tuple[Property, ...]
    keys: tuple[tuple[str, ...], ...]
    own: tuple[Property, ...] = ()

    @property
    def all(self) -> tuple[Property, ...]:
        """All columns."""
        return (*self.properties, *self.own)


CONTACTS = Source(
    "contacts",
    "Contacts",
    "notion_businessx_db_id",
    (
        Property("Email", "email", required=True),
        Property("Name", "title"),
        Property("First Name", "rich_text"),
        Property("Business Name", "rich_text"),
        Property("Segment", "select", options=SEGMENTS),
        Property("Assessment Score", "number"),
        Property("Red Systems", "number"),
        Property("Orange Systems", "number"),
        Property("Yellow Systems", "number"),
        Property("Green Systems", "number"),
        Property("Status", "select", options=("Lead",)),
        Property("Last Email Sent", "date"),
        Property("Source", "select"),
        Property("Consent", "checkbox"),
        Property("Subscription", "select", options=("subscribed", "unsubscribed", "bounced", "complained")),
        Property("Proof", "rich_text"),
    ),
    keys=(("Email",),),
)
TRACKER = Source(
    "tracker",
    "Email Sequence",
    "notion_email_sequence_db_id",
    (
        Property("Name", "title"),
        Property("Email", "email", required=True),
        Property("Campaign", "select", required=True),
        Property("Segment", "select", required=True, options=SEGMENTS),
        Property("Status", "select", options=tuple(state.capitalize() for state in EnrollmentState)),
        Property("Anchor", "date"),
        Property("Paused At", "date"),
        Property("Next Email At", "date"),
        *(Property(f"Email {number} Sent", "date", required=True) for number in range(1, NUMBERED + 1)),
        Property("Last Error", "rich_text"),
        Property("Enrollment ID", "rich_text"),
    ),
    keys=(("Email", "Campaign"), ("Email", "Enrollment ID")),
    own=(Property("Pause", "checkbox"),),
)
EMAIL_LOG = Source(
    "email log",
    "Email Log",
    "notion_email_log_db_id",
    (
        Property("Email ID", "title", required=True),
        Property("Email", "email"),
        Property("Campaign", "select"),
        Property("Email Number", "number"),
        Property("Template", "rich_text"),
        Property("Sent At", "date"),
        Property(
            "Status", "select", options=("Sent", "Retrying", "Failed", "In Doubt", "Skipped", "Bounced", "Complained")
        ),
        Property("Delivered At", "date"),
        Property("Opened At", "date"),
        Property("Clicked At", "date"),
        Property("Resend ID", "rich_text"),
        Property("Sent By", "select", options=("website", "evergreen")),
        Property("Error", "rich_text"),
    ),
    keys=(("Email ID",),),
)
TEMPLATES = Source(
    "templates",
    "Templates",
    "notion_templates_db_id",
    (Property("Error", "rich_text"),),
    keys=(("Template ID", "Subject"),),
    own=(
        Property("Template ID", "title", required=True),
        Property("Campaign", "select"),
        Property("Subject", "rich_text", required=True),
        Property("Preview", "rich_text"),
        Property("Status", "select", options=("Live", "Draft")),
    ),
)
SOURCES = (CONTACTS, TRACKER, EMAIL_LOG, TEMPLATES)


def own_name(name: str, source: Source, names: Mapping[str, str]) -> str:
    """The owner's name for a property of ours."""
    return names.get(f"{source.key}.{name}", names.get(name, name))


def fitting(
    values: Mapping[str, Value], source: Source, columns: Mapping[str, Column], names: Mapping[str, str]
) -> dict[str, Value]:
    """The values that the columns in Notion can hold, under the owner's names.

    Args:
        values: by our names.
        source: the data source they belong to.
        columns: as they are in Notion.
        names: ours → theirs; `tracker.Email` beats `Email`.
    """
    wanted = {column: own_name(column.name, source, names) for column in source.all if column.name in values}
    return {
        name: values[column.name]
        for column, name in wanted.items()
        if name in columns and column.fits(columns[name]) and write(columns[name], values[column.name]) is not None
    }


def usable_key(source: Source, columns: Mapping[str, Column], names: Mapping[str, str]) -> tuple[str, ...]:
    """The first of a source's keys whose columns are all there and fit, by our names; empty if there is none."""
    usable = {
        column.name
        for column in source.all
        if (there := columns.get(own_name(column.name, source, names))) and column.fits(there)
    }
    return next((key for key in source.keys if usable.issuperset(key)), ())


def likeness(source: Source, columns: Mapping[str, Column], names: Mapping[str, str]) -> float:
    """The share of a source's columns that are there."""
    return sum(own_name(column.name, source, names) in columns for column in source.all) / len(source.all)


def mistaken_for(source: Source, columns: Mapping[str, Column], names: Mapping[str, str]) -> Source | None:
    """The data source that these columns belong to, if it is another one."""
    complete = [
        other
        for other in SOURCES
        if all(own_name(column.name, other, names) in columns for column in other.all if column.required)
    ]
    best = max([source, *complete], key=lambda one: likeness(one, columns, names))  # of equals, the first
    return None if best is source else best
