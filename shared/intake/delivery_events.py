"""Suppressing: who gets no email any more, because they or their mail server said so, and what Resend reports of each email."""

from __future__ import annotations

from shared.core import log
from shared.core.errors import SteeringError
from shared.domain import timing
from shared.domain.forms import normalized
from shared.integrations.resend_events import DeliveryEvent
from shared.ledger import Ledger, ids
from shared.ledger.people import REASONS, People

SEEN_TTL = 7 * timing.DAY
MOST_STEPS = 1000  # a number beyond it is another program's
BY_OPERATOR = ("complained", "bounced", "manual")
CONSENT = "given to the operator, who lifted the unsubscribe"
_logger = log.logger("suppressing")


def receive(event: DeliveryEvent, ledger: Ledger) -> str:
    """Do what Resend's event asks for. Events may come twice and in any order.

    Args:
        event: what happened.
        ledger: the truth.

    Returns:
        `suppressed`, `recorded`, `ignored`, `duplicate`; or `busy`: it must be told again in a moment.
    """
    now = ledger.now()
    enrollment, step = _step(event.email_id)
    order = {
        "seen": ids.digest(f"resend:{event.key}"),
        "seen_ttl": SEEN_TTL,
        "what": event.what,
        "at": min(event.at or now, now),
        "contact": ids.digest(event.address) if event.address else None,
        "enrollment": enrollment,
        "step": step,
        "id": event.provider_id,
        "sent": min(event.sent or event.at or now, now),
        "reason": event.reason,
    }
    outcome = str(ledger.decide("receive", order))
    _logger.info("resend.event", what=event.what, outcome=outcome, enrollment=enrollment, step=step)
    return outcome


def suppress(email: str, ledger: Ledger) -> int:
    """Send no email of any kind to an address from now on, by the operator's decision; returns how many runs that ended.

    Args:
        email: the address, known or not.
        ledger: the truth.
    """
    return ledger.suppress(ids.digest(normalized(email)), "manual")


def unsuppress(email: str, ledger: Ledger, *, has_consent: bool = False) -> list[str]:
    """Let an address get email again. Runs that ended stay ended.

    Args:
        email: the address.
        ledger: the truth.
        has_consent: whether the person has asked for it; only then is their unsubscribe lifted, and the consent written down.

    Returns:
        The reasons that were lifted; none where there was no suppression.

    Raises:
        SteeringError: where the person has unsubscribed and has not asked for email since.
    """
    people, contact = People(ledger), ids.digest(normalized(email))
    if "unsubscribed" in people.suppression(contact).reasons and not has_consent:
        raise SteeringError(
            "this person has unsubscribed, and only they can take that back: have them sign up again with the consent box ticked, "
            "or add --i-have-their-consent if they have asked you"
        )
    lifted = people.lift(contact, REASONS if has_consent else BY_OPERATOR, consent=CONSENT)
    _logger.info("unsuppressed", contact=contact, reasons=lifted)
    return lifted


def _step(email_id: str | None) -> tuple[str | None, int | None]:
    """The enrollment and the step of one of our emails; another program's tag names none."""
    try:
        enrollment, step = ids.parse_email_id(email_id or "")
    except ValueError:
        return None, None
    return (enrollment, step) if step <= MOST_STEPS else (None, None)
