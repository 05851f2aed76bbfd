"""Every email of a made-up enrollment, with its times and its text. Needs no Redis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.core.settings import Settings
from shared.domain import sample_person, timing
from shared.domain.catalog import Campaign, Catalog
from shared.domain.enrollment_plan import PlannedStep, plan_enrollment
from shared.domain.enrollments import SCORES, Contact
from shared.domain.segments import Segment
from shared.emails.template_store import Templates
from shared.ledger.claims import Item
from shared.sending.composing import compose

SENT_BY_WEBSITE = {
    "website": "the website sends it",
    "website-if-reported": "unless the website reports that it sent it",
}


@dataclass(frozen=True)
class Planned:
    """One email of a plan. Instants are milliseconds since 1970 UTC.

    Attributes:
        due: when it goes out in production.
        testing_due: when it goes out in TESTING_MODE.
        note: what else decides whether it is sent.
    """

    number: int
    due: int
    testing_due: int
    template: str
    subject: str
    text: str
    note: str = ""


def person(segment: Segment, settings: Settings, **known: str | None) -> dict[str, str]:
    """A made-up contact as the ledger would store it.

    Args:
        segment: decides the scores.
        settings: the booking link.
        known: fields that replace the made-up ones, unless None.
    """
    sample = sample_person.values(segment, booking_url=settings.booking_url, sender_name=settings.business_name)
    names = ("name", "first_name", "business_name", *SCORES)
    return {name: str(sample[name]) for name in names} | {
        name: value for name, value in known.items() if value is not None
    }


def plan(
    campaign: Campaign,
    contact: Mapping[str, str],
    anchor: int,
    *,
    now: int,
    catalog: Catalog,
    templates: Templates,
    settings: Settings,
) -> list[Planned]:
    """Every email of one enrollment.

    Args:
        campaign: the campaign.
        contact: the person's fields, including an address.
        anchor: the time from which delays count: the sign-up, or the meeting.
        now: when it would start, in milliseconds since 1970 UTC.
        catalog: the campaigns.
        templates: the texts.
        settings: the sender, and the testing mode's step.

    Raises:
        RenderingError: when a text cannot be filled.
    """
    real, tested = (_steps(campaign, contact, anchor, now, settings, testing) for testing in (False, True))
    person = Contact(contact)
    planned = []
    for step, production, testing in zip(campaign.steps, real, tested, strict=True):
        item = Item("plan", step.number, campaign.slug, "", person, _occasion(anchor, contact, settings))
        email = compose(item, catalog=catalog, templates=templates, settings=settings) or {}
        note = production.skipped or SENT_BY_WEBSITE.get(step.sent_by, "")
        template = step.template_for(person.segment)
        planned.append(
            Planned(step.number, production.due, testing.due, template, email["subject"], email["text"], note)
        )
    return planned


def meets(campaign: Campaign) -> bool:
    """Whether its delays count from an upcoming meeting."""
    return any(step.before is not None for step in campaign.steps)


def _steps(
    campaign: Campaign, contact: Mapping[str, str], anchor: int, now: int, settings: Settings, testing: bool
) -> Sequence[PlannedStep]:
    own = settings.model_copy(update={"testing_mode": testing})
    return plan_enrollment(campaign, anchor, contact.get("timezone"), settings=own, now=now).steps


def _occasion(anchor: int, contact: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """What the webhooks would report about a meeting or a client."""
    sample = sample_person.values("OPTIMIZE", booking_url=settings.booking_url, sender_name=settings.business_name)
    day, hour = timing.spoken(anchor, timing.zone(contact.get("timezone"), settings.business_timezone))
    said = {name: str(sample[name]) for name in ("meeting_title", "meeting_place", "reschedule_url", "package")}
    return said | {"meeting_day": day, "meeting_time": hour}
