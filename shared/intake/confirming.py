"""Confirming: the owner of a mailbox says that the sign-ups held for it are theirs."""

from __future__ import annotations

from dataclasses import replace

from shared.core import log
from shared.intake import enrolling, held_forms
from shared.intake.context import Intake
from shared.ledger import held

_logger = log.logger("confirming")


def confirm(contact: str, since: int, intake: Intake) -> bool:
    """Enroll, as of now, a contact whose sign-ups were held. The address and the consent are confirmed, no typed text.

    Args:
        contact: the digest of the address.
        since: when the contact was asked, as the link says: a link confirms nothing that was held after it expired.
        intake: where it comes in.

    Returns:
        Whether the address is confirmed: now, or by this link before.
    """
    found = held.of_contact(intake.ledger, contact)
    records = found.records if found.since and found.since == since else {}
    if any([_confirm(id, held_forms.read(record), intake) for id, record in records.items()]):
        return True
    known = intake.ledger.contact(contact)
    return known is not None and int(known.fields.get("confirmed_at", 0)) >= since


def _confirm(id: str, one: held_forms.HeldForm, intake: Intake) -> bool:
    """Enroll one held sign-up; returns whether it was still held."""
    form, trigger = one.form, held_forms.trigger_of(id)
    if form.email_1_status == "sent":  # the website sent the first email; the others count from now
        form = form.model_copy(update={"email_1_sent_at": intake.instant})
    came = replace(intake, page=one.page, network=one.network, confirms=id, visitor=None, key=None)
    answer = enrolling.sign_up(form, trigger=trigger, intake=came)
    _logger.info("sign_up.confirmed", trigger=trigger, request_id=intake.request_id)
    return answer.outcome.what != "gone"
