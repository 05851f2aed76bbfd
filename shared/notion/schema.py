"""What Evergreen keeps in Notion: four data sources, their properties, and the owner's names for these.

Data and pure functions only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.segments import SEGMENTS
from shared.domain.states import EnrollmentState
from shared.integrations.notion_values import Value

NUMBERED = 7  # the tracker has a column for each of the first seven emails


@dataclass(frozen=True)
class Property:
    """A column: its name, the type that `notion init` gives it, whether it is required, and a select's options."""

    name: str
    type: str
    required: bool = False
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A data source.

    Attributes:
        key: its name in settings and messages.
        title: the name that `notion init` gives the database.
        setting: the variable with the id of the owner's database.
        properties: its columns.
        own: columns that the owner fills; Evergreen never writes them.
    """

    key: str
    title: str
    setting: str
    properties: tuple[Property, ...]
    own: tuple[Property, ...] = ()


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
)
TEMPLATES = Source(
    "templates",
    "Templates",
    "notion_templates_db_id",
    (Property("Error", "rich_text"),),
    own=(
        Property("Template ID", "title", required=True),
        Property("Campaign", "select"),
        Property("Subject", "rich_text", required=True),
        Property("Preview", "rich_text"),
        Property("Status", "select", options=("Live", "Draft")),
    ),
)
SOURCES = (CONTACTS, TRACKER, EMAIL_LOG, TEMPLATES)


def renamed(values: Mapping[str, Value], source: Source, names: Mapping[str, str]) -> dict[str, Value]:
    """Values under the owner's own property names.

    Args:
        values: by our names.
        source: the data source they belong to.
        names: ours → theirs; `tracker.Email` beats `Email`.
    """
    return {own_name(name, source, names): value for name, value in values.items()}


def own_name(name: str, source: Source, names: Mapping[str, str]) -> str:
    """The owner's name for a property of ours."""
    return names.get(f"{source.key}.{name}", names.get(name, name))
