"""A sign-up as it is held until the owner of the mailbox confirms it: small, and complete enough to enroll later."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from shared.domain.forms import SignUp
from shared.domain.visitors import Visitor, mailbox
from shared.intake.context import Intake
from shared.ledger import ids
from shared.ledger.enroll_orders import Hold

MOST = 600  # bytes of a record: with its keys, a held sign-up takes less than 1 KB
_START = 40  # characters of a consent that is too long to keep whole
_PAGE = 120  # characters of the page's address
_SPARED = ("consent_text", "booking_url", "business_name", "name")  # what makes room, in this order
_LEFT_OUT = {"altcha", "fax_number", "email_1_sent_at"}


@dataclass(frozen=True)
class HeldForm:
    """A held sign-up: what was posted, to which webhook, and where it came from."""

    form: SignUp
    trigger: str
    request_id: str
    page: str | None
    network: str | None


def hold(form: SignUp, trigger: str, visitor: Visitor, intake: Intake) -> Hold:
    """How a sign-up is held, if it is."""
    return Hold(
        id=f"{ids.digest(form.email)}-{trigger}",
        trigger=trigger,
        mailbox=ids.digest(mailbox(form.email)),
        network=ids.digest(visitor.networks[-1]),
        record=_written(form, trigger, intake),
    )


def read(record: str) -> HeldForm:
    """A held sign-up, from its record."""
    kept = json.loads(record)
    form = SignUp.model_validate(kept["form"])
    return HeldForm(form, kept["trigger"], kept["request_id"], kept.get("page"), kept.get("network"))


def _written(form: SignUp, trigger: str, intake: Intake) -> str:
    fields = form.model_dump(mode="json", exclude=_LEFT_OUT, exclude_none=True)
    page = intake.page and intake.page[:_PAGE]
    about = {"trigger": trigger, "request_id": intake.request_id, "page": page, "network": intake.network}
    record = {name: value for name, value in about.items() if value} | {"form": fields}
    for name in _SPARED:
        if len((text := _json(record)).encode()) <= MOST:
            return text
        if name == "consent_text" and name in fields:
            fields[name] = _shortened(fields[name])
        else:
            fields.pop(name, None)
    return _json(record)


def _json(record: object) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def _shortened(text: str) -> str:
    """The start of a long consent, and a digest that proves which text it was."""
    return f"{text[:_START]}… (sha256 {hashlib.sha256(text.encode()).hexdigest()})"
