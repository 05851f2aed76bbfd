"""What a form says, as an enrollment needs it: the fields to remember, the consent, the anchor, the occasion."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from shared.core.errors import WebhookError
from shared.domain import timing
from shared.domain.catalog import Campaign, CampaignStep
from shared.domain.enrollments import SCORES
from shared.domain.forms import NoShow, Person, SignUp
from shared.intake.context import Intake
from shared.ledger import ids
from shared.ledger.enroll_orders import Consent


def fields(form: Person, booking_url: str) -> dict[str, str]:
    """What is remembered. A booking link that is not the owner's own is left out, as anyone can post a form."""
    known = form.contact_fields()
    if "booking_url" in known and not _same_page(known["booking_url"], booking_url):
        del known["booking_url"]
    return known


def consent(form: SignUp, trigger: str, intake: Intake) -> Consent | None:
    """What the person agrees to, and on which page; the ledger adds when. None if they agree to nothing."""
    if not form.consent:
        return None
    return Consent(text=form.consent_text, page=intake.page, source=trigger, network=intake.network, lifts=intake.lifts)


def has_all(form: SignUp, campaign: Campaign) -> bool:
    """Whether a form has what its campaign requires."""
    has = {"assessment": form.assessed, "consent": bool(form.consent)}
    return all(has[what] for what in campaign.requires)


def scores(form: SignUp) -> dict[str, str]:
    """The form's scores, which count in the enrollment that it starts."""
    return {name: str(score) for name in SCORES if (score := getattr(form, name)) is not None}


def anchor(at: Any, field: str, now: int) -> tuple[int, str | None]:
    """The anchor that a form reports, in milliseconds since 1970 UTC, and a warning if it could not be used.

    Args:
        at: the reported time; None if the form names none.
        field: its name in the form.
        now: milliseconds since 1970 UTC.

    Raises:
        WebhookError: 422 if it is more than 30 days ago.
    """
    try:
        return timing.anchor(round(at.timestamp() * 1000) if at else None, now, field)
    except ValueError as error:
        raise WebhookError(422, "the request is not valid", details=[{"loc": [field], "msg": str(error)}]) from None


def occasion(form: Person) -> str:
    """The missed call that a form is about; empty if it does not say."""
    if not isinstance(form, NoShow):
        return ""
    return form.event_id or (str(round(form.starts_at.timestamp())) if form.starts_at else "")


def subject(form: Person, campaign: Campaign, occasion: str) -> str:
    """What the enrollment's id is made from: the person, or the missed meeting."""
    return f"{form.email}:{occasion}" if campaign.reentry == "per-event" and isinstance(form, NoShow) else form.email


def lead(form: SignUp) -> str | None:
    """A digest of CRITICAL scores: the same scores again are not news."""
    if not form.assessed or form.segment != "CRITICAL":
        return None
    return ids.digest(json.dumps([form.assessment_score, form.red_systems, form.orange_systems]))


def sent_by_website(step: CampaignStep, form: SignUp) -> bool:
    """Whether the website has sent the email of a step itself."""
    if step.sent_by == "website":
        return form.email_1_status != "failed"
    return step.sent_by == "website-if-reported" and form.email_1_status == "sent"


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
    same_host = (theirs.scheme, theirs.netloc) == (ours.scheme, ours.netloc)
    return same_host and theirs.path.split("/")[1:2] == ours.path.split("/")[1:2]
