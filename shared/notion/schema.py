"""What Evergreen keeps in Notion: four data sources, their properties and the values of these.

Data and pure functions only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.catalog import Campaign
from shared.domain.enrollments import Contact, Enrollment, Step
from shared.domain.segments import SEGMENTS
from shared.domain.states import EnrollmentState, StepState
from shared.integrations.notion import Value, iso

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
        Property("Status", "select", options=("Tracking", "Active", "Paused", "Completed", "Exited", "Cancelled")),
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
SENT_ANEW = "resent manually: an earlier one may have arrived too"


def _full_name(contact: Contact) -> str | None:
    return contact.fields.get("name") or contact.fields.get("first_name")


def contact_values(contact: Contact, *, new: bool) -> dict[str, Value]:
    """A contact's row. Status is the owner's pipeline: only a new contact gets one."""
    fields = contact.fields
    values: dict[str, Value] = {
        "Email": contact.email,
        "Name": _full_name(contact),
        "First Name": fields.get("first_name"),
        "Business Name": fields.get("business_name"),
        "Segment": contact.segment if contact.assessed else None,
        "Assessment Score": fields.get("assessment_score"),
        "Red Systems": fields.get("red_systems"),
        "Orange Systems": fields.get("orange_systems"),
        "Yellow Systems": fields.get("yellow_systems"),
        "Green Systems": fields.get("green_systems"),
        "Last Email Sent": _when(fields.get("last_sent")),
        "Source": fields.get("source"),
        "Consent": _when(fields.get("consent_at")),
        "Subscription": contact.subscription,
    }
    if new:
        values["Status"] = "Lead"
    # The owner may know what Evergreen does not: an empty value never overwrites theirs.
    return {name: value for name, value in values.items() if value is not None}


def tracker_values(run: Enrollment, contact: Contact, campaign: Campaign | None) -> dict[str, Value]:
    """An enrollment's row."""
    waiting = [step for step in run.steps if step.state.is_open]
    troubled = [step for step in run.steps if step.why and (step.state.is_open or step.state.needs_a_person)]
    next_at = min((step.next or step.due for step in waiting), default=None)
    values: dict[str, Value] = {
        "Name": _full_name(contact) or contact.email,
        "Email": contact.email,
        "Campaign": campaign.name if campaign else run.slug,
        "Segment": contact.segment if contact.assessed else None,
        "Status": run.state.capitalize(),
        "Anchor": iso(run.anchor),
        "Paused At": iso(run.paused_at),
        "Next Email At": iso(next_at) if run.state == EnrollmentState.ACTIVE else None,
        "Last Error": f"Email {troubled[-1].number}: {troubled[-1].why}" if troubled else None,
        "Enrollment ID": run.id,
    }
    for step in run.steps:
        if step.number <= NUMBERED and step.state == StepState.SENT:
            values[f"Email {step.number} Sent"] = iso(step.sent_at)
    return values


def email_values(run: Enrollment, step: Step, contact: Contact, campaign: Campaign | None) -> dict[str, Value]:
    """An email's row in the log."""
    planned = campaign.step(step.number) if campaign else None
    return {
        "Email ID": f"{run.id}-{step.number}",
        "Email": contact.email,
        "Campaign": campaign.name if campaign else run.slug,
        "Email Number": step.number,
        "Template": planned.template_for(contact.segment) if planned else None,
        "Sent At": iso(step.sent_at),
        "Status": _email_status(step),
        "Delivered At": iso(step.delivered),
        "Opened At": iso(step.opened),
        "Clicked At": iso(step.clicked),
        "Resend ID": step.provider_id,
        "Sent By": step.sent_by,
        "Error": _remark(step) if step.state == StepState.SENT else step.why,
    }


def _remark(step: Step) -> str | None:
    return step.note or (SENT_ANEW if step.anew else None)


def _email_status(step: Step) -> str:
    match step.state:
        case StepState.SENT if step.complained:
            return "Complained"
        case StepState.SENT if step.bounced:
            return "Bounced"
        case StepState.SENT:
            return "Sent"
        case StepState.FAILED:
            return "Failed"
        case StepState.IN_DOUBT:
            return "In Doubt"
        case StepState.SKIPPED | StepState.CANCELLED:
            return "Skipped"
        case StepState.SCHEDULED | StepState.SENDING:
            return "Retrying"


def _when(milliseconds: str | None) -> str | None:
    return iso(int(milliseconds)) if milliseconds else None


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
