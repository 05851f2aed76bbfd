"""Enrolling: what a webhook received becomes a contact and, where a campaign is due, an enrollment with its steps on the schedule."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from shared import log, timing
from shared.catalog import Campaign, CampaignStep, Catalog
from shared.errors import WebhookError
from shared.ledger import Ledger, ids
from shared.models import SignUp
from shared.settings import Settings

SEEN_TTL = 24 * timing.HOUR
MESSAGE = "Thank you. Your details have arrived."
_logger = log.logger("enrolling")


@dataclass(frozen=True)
class Answer:
    """What a website form is told: the same whether or not the address was known."""

    email: str
    campaign: str | None

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body of the 202."""
        return {"status": "accepted", "message": MESSAGE, "email": self.email, "campaign": self.campaign}


def sign_up(
    form: SignUp, *, trigger: str, ledger: Ledger, catalog: Catalog, settings: Settings, now: int, request_id: str, key: str | None = None
) -> Answer:
    """Remember who signed up, and enroll where a campaign is triggered and the form carries what it requires.

    Args:
        form: what was posted.
        trigger: the webhook's name.
        now: the webhook's time, in milliseconds since 1970 UTC.
        request_id: follows the emails from here to the provider.
        key: the caller's `Idempotency-Key`: the same within 24 hours gets the first answer and has no further effect.

    Raises:
        WebhookError: 422 for a reported first email that is older than 30 days.
    """
    campaign = catalog.triggered_by(trigger)
    enrolls = campaign is not None and (form.assessed or "assessment" not in campaign.requires)
    answer = Answer(form.email, campaign.slug if campaign and enrolls else None)
    order = {
        "contact": ids.digest(form.email),
        "fields": _fields(form, settings),
        "source": trigger,
        "consent": form.consent,
        "seen": ids.digest(f"{trigger}:{key}") if key else None,
        "seen_ttl": SEEN_TTL,
        "answer": json.dumps([answer.email, answer.campaign]),
    }
    if campaign:
        order |= {"key": ids.run_key(campaign.slug, form.email), "slug": campaign.slug, "kind": campaign.kind, "request_id": request_id}
        order |= _run(form, campaign, settings, now, request_id, _known_zone(form, campaign, ledger)) if enrolls else {}
    what, which = ledger.enroll(order)
    _logger.info("signed_up", trigger=trigger, outcome=what, enrollment=which if what != "duplicate" else None, request_id=request_id)
    return Answer(*json.loads(which)) if what == "duplicate" else answer


def _run(form: SignUp, campaign: Campaign, settings: Settings, now: int, request_id: str, known_zone: str | None) -> dict[str, Any]:
    """The part of the order that describes the new run."""
    reported = round(form.email_1_sent_at.timestamp() * 1000) if form.email_1_sent_at else None
    try:
        anchor, warning = timing.anchor(reported, now)
    except ValueError as error:
        raise WebhookError(422, "the request is not valid", details=[{"loc": ["email_1_sent_at"], "msg": str(error)}]) from None
    by_website = {step.number for step in campaign.steps if _sent_by_website(step, form)}
    if by_website and reported is None:
        warning = "the first email was sent by the website, but email_1_sent_at is missing; the time of the request was used instead"
    if warning:
        _logger.warning("anchor.replaced", warning=warning, campaign=campaign.slug, request_id=request_id)
    delays = [step.delay for step in campaign.steps]
    if settings.testing_mode:
        delays = timing.testing(delays, settings.testing_step or campaign.testing_step)
    window = campaign.window.window if campaign.window else None
    zone = timing.zone(form.timezone or known_zone, settings.business_timezone)
    return {
        "group": campaign.group,
        "reentry": campaign.reentry,
        "anchor": anchor,
        "warning": warning,
        "steps": [
            {
                "number": delay.number,
                "offset": delay.milliseconds,
                "due": timing.due(anchor, delay, window, zone),
                **({"sent": anchor} if delay.number in by_website else {}),
            }
            for delay in delays
        ],
    }


def _known_zone(form: SignUp, campaign: Campaign, ledger: Ledger) -> str | None:
    """The time zone that an earlier form named; only a campaign with a window needs it."""
    contact = ledger.contact(ids.digest(form.email)) if campaign.window and not form.timezone else None
    return contact.fields.get("timezone") if contact else None


def _sent_by_website(step: CampaignStep, form: SignUp) -> bool:
    if step.sent_by == "website":
        return form.email_1_status != "failed"
    return step.sent_by == "website-if-reported" and form.email_1_status == "sent"


def _fields(form: SignUp, settings: Settings) -> dict[str, str]:
    """What is remembered; a booking link that is not the owner's own is not: anybody can post a form."""
    fields = form.contact_fields()
    if form.consent and form.consent_text:
        fields["consent_text"] = form.consent_text
    if "booking_url" in fields and not _same_page(fields["booking_url"], settings.booking_url):
        del fields["booking_url"]
    return fields


def _same_page(url: str, own: str) -> bool:
    """Whether a link leads to the owner's own booking page: same scheme and host, and the same first part of the path."""
    if not re.fullmatch(r"[!-~]+", url) or re.search(r"[\"'<>`\\{}]", url):
        return False
    try:
        theirs, ours = urlsplit(url), urlsplit(own)
    except ValueError:
        return False
    if re.search(r"/\.|%2e", theirs.path, re.IGNORECASE):  # a path that leads elsewhere than it says
        return False
    return (theirs.scheme, theirs.netloc, theirs.path.split("/")[1:2]) == (ours.scheme, ours.netloc, ours.path.split("/")[1:2])
