"""A sign-up as it is held until the owner of the mailbox confirms it: small, and complete enough to enroll later."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from shared.domain.forms import SignUp
from shared.domain.visitors import Visitor, mailbox
from shared.intake.context import Intake
from shared.ledger import ids
from shared.ledger.enroll_orders import Hold

MOST = 300  # bytes of a record: with its keys, a held sign-up takes less than 1 KB
_WHOLE, _START = 120, 40  # characters of a consent that is kept whole, and of the start of a longer one
_PAGE = 120  # characters of the page's address
# What makes room, in this order; the address, the scores and whether the person agreed are always kept.
_SPARED = ("booking_url", "page", "business_name", "name", "timezone", "first_name", "consent_text")
_LEFT_OUT = {"altcha", "fax_number", "email_1_sent_at"}
_SHORT = {
    "email": "e",
    "name": "n",
    "first_name": "f",
    "business_name": "b",
    "timezone": "z",
    "booking_url": "u",
    "assessment_score": "a",
    "red_systems": "r",
    "orange_systems": "o",
    "yellow_systems": "y",
    "green_systems": "g",
    "consent": "c",
    "consent_text": "t",
    "email_1_status": "s",
    "page": "p",
    "network": "w",
}
_LONG = {short: name for name, short in _SHORT.items()}


@dataclass(frozen=True)
class HeldForm:
    """A held sign-up: what was posted, and where it came from."""

    form: SignUp
    page: str | None
    network: str | None


def hold(form: SignUp, trigger: str, visitor: Visitor, intake: Intake) -> Hold:
    """How a sign-up is held, if it is."""
    return Hold(
        id=f"{ids.digest(form.email)}-{trigger}",
        trigger=trigger,
        mailbox=ids.digest(mailbox(form.email)),
        network=ids.digest(visitor.networks[-1]),
        record=_written(form, intake),
    )


def trigger_of(id: str) -> str:
    """The webhook of a held sign-up, from its id."""
    return id.partition("-")[2]


def fields_of(record: str) -> dict[str, Any]:
    """What a record holds, by the names of the form's fields, with `page` and `network`."""
    return {_LONG[short]: value for short, value in json.loads(record).items()}


def read(record: str) -> HeldForm:
    """A held sign-up, from its record. It was validated when it came: an earlier release may have accepted more."""
    known = fields_of(record)
    return HeldForm(SignUp.model_construct(**known), known.get("page"), known.get("network"))


def _written(form: SignUp, intake: Intake) -> str:
    fields = form.model_dump(mode="json", exclude=_LEFT_OUT, exclude_none=True)
    fields |= {"page": intake.page and intake.page[:_PAGE], "network": intake.network}
    if len(_json(fields)) > MOST and form.consent_text:
        fields["consent_text"] = _shortened(form.consent_text)
    for name in _SPARED:
        if len(_json(fields)) > MOST:
            fields.pop(name, None)
    if form.consent_text and "consent_text" not in fields:
        fields["consent_text"] = _digest(form.consent_text)
    return _json(fields).decode()


def _json(fields: dict[str, Any]) -> bytes:
    kept = {_SHORT[name]: value for name, value in fields.items() if value is not None}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()


def _shortened(text: str) -> str:
    """The start of a long consent, and a digest that proves which text it was."""
    if len(text) <= _WHOLE:
        return text
    return f"{text[:_START]}… {_digest(text)}"


def _digest(text: str) -> str:
    return f"(sha256 {hashlib.sha256(text.encode()).hexdigest()[:32]})"
