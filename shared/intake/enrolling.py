"""Enrolling: turns what a webhook received into a contact and, if there is a campaign for it, an enrollment with its
steps on the schedule."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from shared.core import log
from shared.core.errors import TooManyRequests, WebhookError
from shared.domain import timing
from shared.domain.catalog import Campaign
from shared.domain.enrollment_plan import Plan, plan_enrollment
from shared.domain.forms import NewClient, NoShow, Person, PostCall, SignUp
from shared.intake import form_values, held_forms, visits
from shared.intake.context import Intake, exits, start_of
from shared.ledger import ids
from shared.ledger.answers import Enrolled
from shared.ledger.enroll_orders import Enroll

SEEN_TTL = 24 * timing.HOUR
REFUSED_FOR = 60_000  # milliseconds
MESSAGE = "Thank you. Your details have arrived."
ASKED = "Thank you. Please open the email we are sending you to confirm your address."
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
        message = ASKED if self.outcome.what == "held" else MESSAGE
        return {"status": "accepted", "message": message, "email": self.email, "campaign": self.campaign}


def sign_up(form: SignUp, *, trigger: str, intake: Intake) -> Answer:
    """Remember who signed up, and enroll them if a campaign is triggered and the form has what it requires.

    Args:
        form: what was posted.
        trigger: the webhook's name.
        intake: where it came in.

    Raises:
        WebhookError: 422 if the reported first email is older than 30 days, or the `Idempotency-Key` came with another
            body.
        TooManyRequests: if too many come from the visitor's network, and the campaign holds none.
    """
    campaign = intake.catalog.triggered_by(trigger)
    entered = _entered(form, campaign)
    fields = form_values.fields(form, intake.settings.booking_url)
    order = replace(
        _order(form, fields, trigger, entered, intake),
        consent=form_values.consent(form, trigger, intake),
        lead=form_values.lead(form) if intake.leads else None,
        start=start_of(campaign, form.email, intake) if campaign else None,
        plan=_sign_up_plan(form, entered, intake) if entered else None,
        confirms=intake.confirms,
    )
    if intake.visitor:
        measured = visits.visit(form.email, campaign, intake.visitor, intake.solved, intake.settings)
        order = replace(order, visit=measured, hold=held_forms.hold(form, trigger, intake.visitor, intake))
    return _enroll(order, form, intake)


def thanks(form: SignUp, *, trigger: str, intake: Intake) -> Answer:
    """The answer that `sign_up` gives to such a form, without doing anything.

    Args:
        form: what was posted.
        trigger: the webhook's name.
        intake: where it came in.
    """
    entered = _entered(form, intake.catalog.triggered_by(trigger))
    return Answer(form.email, entered.slug if entered else None)


def _entered(form: SignUp, campaign: Campaign | None) -> Campaign | None:
    """The campaign of a trigger, if the form has what it requires."""
    return campaign if campaign and form_values.has_all(form, campaign) else None


def _sign_up_plan(form: SignUp, campaign: Campaign, intake: Intake) -> Plan:
    by_website = {step.number for step in campaign.steps if form_values.sent_by_website(step, form)}
    anchor, warning = form_values.anchor(form.email_1_sent_at, "email_1_sent_at", intake.now)
    if by_website and form.email_1_sent_at is None:
        warning = (
            "the first email was sent by the website, but email_1_sent_at is missing; the time of the request was used "
            "instead"
        )
    scores = form_values.scores(form)
    zone = _zone(form, campaign, intake)
    plan = _plan(campaign, anchor, zone, intake, warning, by_website=by_website, values=scores)
    return replace(plan, retakes=bool(scores))


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
    order = _order(form, form_values.fields(form, intake.settings.booking_url), trigger, campaign, intake)
    if campaign:
        called = form.call_at if isinstance(form, PostCall) else None
        anchor, warning = form_values.anchor(called, "call_at", intake.now)
        values = {"package": form.package} if isinstance(form, NewClient) and form.package else {}
        occasion = form_values.occasion(form)
        plan = _plan(campaign, anchor, _zone(form, campaign, intake), intake, warning, occasion=occasion, values=values)
        subject = form_values.subject(form, campaign, occasion)
        order = replace(order, start=start_of(campaign, subject, intake), plan=plan)
    if isinstance(form, NewClient):
        order = replace(order, exit=exits("client", intake.now, intake))
    return _enroll(order, form, intake)


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
        claimed=form.claimed_fields() or None,
        seen=ids.digest(f"{trigger}:{intake.key}") if intake.key else None,
        seen_ttl=SEEN_TTL,
        body=intake.body,
        answer=campaign.slug if campaign else "",
    )


def _enroll(order: Enroll, form: Person, intake: Intake) -> Answer:
    done = intake.ledger.enroll(order)
    before = done.what == "duplicate"
    _logger.info(
        "signed_up",
        trigger=order.source,
        left_out=form.left_out or None,
        outcome=done.what,
        enrollment=None if before else done.which,
        request_id=intake.request_id,
    )
    if done.what == "refused":
        raise TooManyRequests(REFUSED_FOR)
    if done.what == "conflict":
        raise WebhookError(422, "this Idempotency-Key came before with another body; use a new key for each form")
    return Answer(form.email, _campaign_of(done.which if before else order.answer), done)


def _campaign_of(answer: str) -> str | None:
    """The campaign that an answer names; an earlier release's has the address, too."""
    campaign = json.loads(answer)[1] if answer.startswith("[") else answer
    return campaign or None


def _zone(form: Person, campaign: Campaign, intake: Intake) -> str | None:
    """The person's time zone, perhaps from an earlier form; only a campaign with a window needs it."""
    if form.timezone or not campaign.window:
        return form.timezone
    contact = intake.ledger.contact(ids.digest(form.email))
    return contact.fields.get("timezone") if contact else None
