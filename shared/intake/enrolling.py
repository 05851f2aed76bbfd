"""Enrolling: turns what a webhook received into a contact and, if there is a campaign for it, an enrollment with its
steps on the schedule."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from shared.core import log
from shared.core.errors import TooManyRequests, WebhookError
from shared.core.settings import Settings
from shared.domain import timing
from shared.domain.catalog import Campaign, CampaignStep, Catalog
from shared.domain.enrollment_plan import Plan, plan_enrollment
from shared.domain.forms import NewClient, NoShow, Person, PostCall, SignUp
from shared.ledger import ids
from shared.ledger.answers import Enrolled
from shared.ledger.client import Ledger
from shared.ledger.orders import Enroll, Exit, Limit, Start

SEEN_TTL = 24 * timing.HOUR
MESSAGE = "Thank you. Your details have arrived."
CLOCKS_DIFFER = 60_000  # milliseconds by which another system's clock may be behind ours
_logger = log.logger("enrolling")


@dataclass(frozen=True)
class Answer:
    """The response to a caller, the same whether or not the address was known; and the outcome, which only the operator
    sees."""

    email: str
    campaign: str | None
    outcome: Enrolled = field(default=Enrolled("", ""), compare=False)

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body of the 202."""
        return {"status": "accepted", "message": MESSAGE, "email": self.email, "campaign": self.campaign}


@dataclass(frozen=True)
class Intake:
    """Where and when something comes in.

    Attributes:
        now: the webhook's time, in milliseconds since 1970 UTC.
        request_id: follows the emails from here to the provider.
        key: the caller's `Idempotency-Key`: the same key within 24 hours gets the first answer and has no further
            effect.
        page: the page of the website that it came from, stored with a consent.
        leads: whether the owner is alerted at once to an urgent assessment.
        limit: how often the person may sign up; None: no limit.
    """

    ledger: Ledger
    catalog: Catalog
    settings: Settings
    now: int
    request_id: str
    key: str | None = None
    page: str | None = None
    leads: bool = True
    limit: Limit | None = None


def sign_up(form: SignUp, *, trigger: str, intake: Intake) -> Answer:
    """Remember who signed up, and enroll them if a campaign is triggered and the form has what it requires.

    Args:
        form: what was posted.
        trigger: the webhook's name.
        intake: where it came in.

    Raises:
        WebhookError: 422 if the reported first email is older than 30 days.
        TooManyRequests: if the intake's limit has been reached.
    """
    campaign = intake.catalog.triggered_by(trigger)
    enrolls = campaign is not None and (form.assessed or "assessment" not in campaign.requires)
    plan = None
    if campaign and enrolls:
        by_website = {step.number for step in campaign.steps if _sent_by_website(step, form)}
        anchor, warning = _reported(form.email_1_sent_at, "email_1_sent_at", intake.now)
        if by_website and form.email_1_sent_at is None:
            warning = (
                "the first email was sent by the website, but email_1_sent_at is missing; the time of the request was "
                "used instead"
            )
        plan = _plan(campaign, anchor, _zone(form, campaign, intake), intake, warning, by_website=by_website)
    order = replace(
        _order(form, _fields(form, intake) | _consent(form, intake), trigger, campaign if enrolls else None, intake),
        consent=bool(form.consent),
        lead=_lead(form) if intake.leads else None,
        start=start_of(campaign, form.email, intake) if campaign else None,
        plan=plan,
    )
    return _enroll(order, intake)


def report(form: NoShow | PostCall | NewClient, *, trigger: str, intake: Intake) -> Answer:
    """Enroll a person in the campaign for what the operator reports: a missed call, a call that ended with a maybe, or
    a new client.

    Args:
        form: what was posted.
        trigger: the webhook's name.
        intake: where it came in.

    Raises:
        WebhookError: 422 if the call was more than 30 days ago.
    """
    campaign = intake.catalog.triggered_by(trigger)
    order = _order(form, _fields(form, intake), trigger, campaign, intake)
    if campaign:
        anchor, warning = (
            _reported(form.call_at, "call_at", intake.now) if isinstance(form, PostCall) else (intake.now, None)
        )
        values = {"package": form.package} if isinstance(form, NewClient) and form.package else {}
        occasion = _occasion(form)
        plan = _plan(campaign, anchor, _zone(form, campaign, intake), intake, warning, occasion=occasion, values=values)
        order = replace(order, start=start_of(campaign, _subject(form, campaign, occasion), intake), plan=plan)
    if isinstance(form, NewClient):
        order = replace(order, exit=exits("client", intake.now, intake))
    return _enroll(order, intake)


def exits(reason: str, at: int, intake: Intake) -> Exit:
    """What ends the enrollments that list a reason, if they began before it."""
    return Exit(reason=reason, slugs=intake.catalog.ending_on(reason), before=at + CLOCKS_DIFFER)


def start_of(campaign: Campaign, subject: str, intake: Intake) -> Start:
    """The campaign and the enrollment's key.

    Args:
        subject: the address, or the event key of a per-event campaign.
    """
    key = ids.enrollment_prefix(campaign.slug, subject)
    return Start(key=key, slug=campaign.slug, kind=campaign.kind, request_id=intake.request_id)


def _plan(
    campaign: Campaign,
    anchor: int,
    zone_name: str | None,
    intake: Intake,
    warning: str | None,
    *,
    occasion: str = "",
    **more: Any,
) -> Plan:
    """The plan of the new enrollment; an anchor that was replaced is logged."""
    if warning:
        _logger.warning("anchor.replaced", warning=warning, campaign=campaign.slug, request_id=intake.request_id)
    plan = plan_enrollment(
        campaign, anchor, zone_name, settings=intake.settings, now=intake.now, warning=warning, **more
    )
    if campaign.reentry == "per-event" and not occasion:  # it is unknown whether it is the same event
        return replace(plan, reentry="when-finished")
    return plan


def _order(form: Person, fields: dict[str, str], trigger: str, campaign: Campaign | None, intake: Intake) -> Enroll:
    """The order for any form; `campaign` is the one that it enrolls in."""
    return Enroll(
        contact=ids.digest(form.email),
        fields=fields,
        source=trigger,
        seen=ids.digest(f"{trigger}:{intake.key}") if intake.key else None,
        seen_ttl=SEEN_TTL,
        answer=json.dumps([form.email, campaign.slug if campaign else None]),
        limit=intake.limit,
    )


def _enroll(order: Enroll, intake: Intake) -> Answer:
    done = intake.ledger.enroll(order)
    if done.what == "limited":
        _logger.warning("rate.limited", by="address", request_id=intake.request_id)
        raise TooManyRequests(int(done.which))
    before = done.what == "duplicate"
    enrollment = None if before else done.which
    _logger.info(
        "signed_up", trigger=order.source, outcome=done.what, enrollment=enrollment, request_id=intake.request_id
    )
    email, campaign = json.loads(done.which if before else order.answer)
    return Answer(email, campaign, done)


def _reported(at: Any, field: str, now: int) -> tuple[int, str | None]:
    """The anchor that a form reports, and a warning if it could not be used."""
    try:
        return timing.anchor(round(at.timestamp() * 1000) if at else None, now, field)
    except ValueError as error:
        raise WebhookError(422, "the request is not valid", details=[{"loc": [field], "msg": str(error)}]) from None


def _occasion(form: Person) -> str:
    """The missed call that a form is about; empty if it does not say."""
    if not isinstance(form, NoShow):
        return ""
    return form.event_id or (str(round(form.starts_at.timestamp())) if form.starts_at else "")


def _subject(form: Person, campaign: Campaign, occasion: str) -> str:
    """What the enrollment's id is made from: the person, or the missed meeting."""
    return f"{form.email}:{occasion}" if campaign.reentry == "per-event" and isinstance(form, NoShow) else form.email


def _lead(form: SignUp) -> str | None:
    """A digest of CRITICAL scores: the same scores again are not news."""
    if not form.assessed or form.segment != "CRITICAL":
        return None
    return ids.digest(json.dumps([form.assessment_score, form.red_systems, form.orange_systems]))


def _zone(form: Person, campaign: Campaign, intake: Intake) -> str | None:
    """The person's time zone, perhaps from an earlier form; only a campaign with a window needs it."""
    if form.timezone or not campaign.window:
        return form.timezone
    contact = intake.ledger.contact(ids.digest(form.email))
    return contact.fields.get("timezone") if contact else None


def _sent_by_website(step: CampaignStep, form: SignUp) -> bool:
    if step.sent_by == "website":
        return form.email_1_status != "failed"
    return step.sent_by == "website-if-reported" and form.email_1_status == "sent"


def _fields(form: Person, intake: Intake) -> dict[str, str]:
    """What is remembered. A booking link that is not the owner's own is left out, as anyone can post a form."""
    fields = form.contact_fields()
    if "booking_url" in fields and not _same_page(fields["booking_url"], intake.settings.booking_url):
        del fields["booking_url"]
    return fields


def _consent(form: SignUp, intake: Intake) -> dict[str, str]:
    """What the person agreed to, and where; the ledger adds when."""
    if not form.consent:
        return {}
    return {name: text for name, text in (("consent_text", form.consent_text), ("consent_page", intake.page)) if text}


def _same_page(url: str, own: str) -> bool:
    """Whether a link leads to the owner's own booking page: same scheme and host, and the same first part of the
    path."""
    if not re.fullmatch(r"[!-~]+", url) or re.search(r"[\"'<>`\\{}]", url):
        return False
    try:
        theirs, ours = urlsplit(url), urlsplit(own)
    except ValueError:
        return False
    if re.search(r"/\.|%2e", theirs.path, re.IGNORECASE):  # a path that does not lead where it says
        return False
    return (theirs.scheme, theirs.netloc, theirs.path.split("/")[1:2]) == (
        ours.scheme,
        ours.netloc,
        ours.path.split("/")[1:2],
    )
