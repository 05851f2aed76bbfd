"""The values of a row in Notion: a contact's, an enrollment's and an email's, by Evergreen's column names."""

from __future__ import annotations

from shared.domain.catalog import Campaign
from shared.domain.enrollments import Contact, Enrollment, Step
from shared.domain.states import EnrollmentState, StepState
from shared.integrations.notion_values import Value, iso
from shared.notion import proof_text
from shared.notion.schema import NUMBERED

RESENT = "resent manually: an earlier one may have arrived too"


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
    values["Proof"] = proof_text.written(contact, values)
    if new:
        values["Status"] = "Lead"
    # The owner may know what Evergreen does not: an empty value never overwrites theirs.
    return {name: value for name, value in values.items() if value is not None}


def _full_name(contact: Contact) -> str | None:
    return contact.fields.get("name") or contact.fields.get("first_name")


def tracker_values(run: Enrollment, contact: Contact, campaign: Campaign | None) -> dict[str, Value]:
    """An enrollment's row."""
    contact = contact.within(run.values)
    values: dict[str, Value] = {
        "Name": _full_name(contact) or contact.email,
        "Email": contact.email,
        "Campaign": campaign.name if campaign else run.slug,
        "Segment": contact.segment if contact.assessed else None,
        "Status": run.state.capitalize(),
        "Anchor": iso(run.anchor),
        "Paused At": iso(run.paused_at),
        "Next Email At": iso(_next_email_at(run)),
        "Last Error": _last_error(run, contact),
        "Enrollment ID": run.id,
    }
    for step in run.steps:
        if step.number <= NUMBERED and step.state == StepState.SENT:
            values[f"Email {step.number} Sent"] = iso(step.sent_at)
    return values


def _next_email_at(run: Enrollment) -> int | None:
    if run.state != EnrollmentState.ACTIVE:
        return None
    return min((step.next or step.due for step in run.steps if step.state.is_open), default=None)


def _last_error(run: Enrollment, contact: Contact) -> str | None:
    """What the owner should know: the latest trouble, what it waits for, or a warning from its beginning."""
    troubled = [step for step in run.steps if step.why and (step.state.is_open or step.state.needs_a_person)]
    if troubled:
        return f"Email {troubled[-1].number}: {troubled[-1].why}"
    if run.queued_until is not None:  # it has not begun
        return run.why or f"waits for {contact.holder_of(run.group)}, until {iso(run.queued_until)} at most"
    return run.warning


def email_values(run: Enrollment, step: Step, contact: Contact, campaign: Campaign | None) -> dict[str, Value]:
    """An email's row in the log."""
    planned = campaign.step(step.number) if campaign else None
    return {
        "Email ID": f"{run.id}-{step.number}",
        "Email": contact.email,
        "Campaign": campaign.name if campaign else run.slug,
        "Email Number": step.number,
        "Template": planned.template_for(contact.within(run.values).segment) if planned else None,
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
    return step.note or (RESENT if step.anew else None)


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
