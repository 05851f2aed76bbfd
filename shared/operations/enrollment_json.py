"""Enrollments and steps in the form of the API, ready for JSON. Every instant is text: RFC 3339, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from shared.domain.catalog import Campaign
from shared.domain.enrollments import SCORES, Contact, Enrollment, Step
from shared.domain.states import EnrollmentState, StepState

FACTS = ("business_name", *SCORES, "timezone", "source")  # shown of a contact besides address, name and segment
REPORTED = ("delivered", "opened", "clicked", "bounced", "complained")


def summary(run: Enrollment, contact: Contact, campaign: Campaign | None) -> dict[str, Any]:
    """An enrollment, as a row of a list.

    Args:
        run: the enrollment.
        contact: its contact; an empty one if forgotten.
        campaign: its campaign; None if the catalog no longer has it.
    """
    person = contact.within(run.values)
    waiting = [
        step.next for step in run.steps if step.state.is_open and step.next and run.state == EnrollmentState.ACTIVE
    ]
    return {
        "id": run.id,
        "email": contact.fields.get("email"),
        "name": contact.fields.get("name") or contact.fields.get("first_name"),
        "campaign": run.slug,
        "campaign_name": campaign.name if campaign else run.slug,
        "segment": person.segment if person.assessed else None,
        "state": run.state,
        "sent": sum(step.state == StepState.SENT for step in run.steps),
        "of": len(run.steps),
        "next_email_at": _instant(min(waiting, default=None)),
    }


def detail(run: Enrollment, contact: Contact, campaign: Campaign | None, zone: ZoneInfo) -> dict[str, Any]:
    """An enrollment with its timeline.

    Args:
        run: the enrollment.
        contact: its contact; an empty one if forgotten.
        campaign: its campaign; None if the catalog no longer has it.
        zone: the time zone of its due times.
    """
    person = contact.within(run.values)
    return summary(run, contact, campaign) | {
        "anchor": _instant(run.anchor),
        "paused_at": _instant(run.paused_at),
        "why": run.why,
        "warning": run.warning,
        "queued_until": _instant(run.queued_until),
        "waits_for": contact.holder_of(run.group) if run.state == EnrollmentState.QUEUED else None,
        "blocked": [{"campaign": one.slug, "by": one.by, "at": _instant(one.at)} for one in contact.blocked],
        "timezone": str(zone),
        "subscription": contact.subscription,
        "consented_at": _instant(int(contact.fields["consent_at"])) if "consent_at" in contact.fields else None,
        "confirmed_at": _instant(int(contact.fields["confirmed_at"])) if "confirmed_at" in contact.fields else None,
        "facts": {name: person.fields[name] for name in FACTS if name in person.fields},
        "claimed": contact.claimed,
        "steps": [step(run.id, one) | {"template": _template(campaign, one.number, person)} for one in run.steps],
    }


def step(enrollment: str, step: Step) -> dict[str, Any]:
    """A step.

    Args:
        enrollment: the id of its enrollment.
        step: the step.
    """
    return {
        "step": step.number,
        "state": step.state,
        "due": _instant(step.due),
        "next": _instant(step.next) if step.state.is_open else None,
        "sent_at": _instant(step.sent_at),
        "sent_by": step.sent_by,
        "attempts": step.attempts,
        "resend_id": step.provider_id,
        **{what: _instant(getattr(step, what)) for what in REPORTED},
        "note": step.note,
        "why": step.why,
        "batched": step.state == StepState.IN_DOUBT
        and step.frozen is not None
        and not step.frozen.startswith(enrollment),
    }


def _template(campaign: Campaign | None, number: int, contact: Contact) -> str | None:
    """The text that a step would get now; None if the campaign no longer has the step."""
    known = campaign.step(number) if campaign else None
    return known.template_for(contact.segment) if known else None


def _instant(at: int | None) -> str | None:
    return (
        None
        if at is None
        else datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
