"""Delivery events: turns what Resend reports about an email or an address into one order to the ledger."""

from __future__ import annotations

from shared.core import log
from shared.domain import timing
from shared.integrations.resend_events import DeliveryEvent
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.orders import Report

SEEN_TTL = 7 * timing.DAY
MOST_STEPS = 1000  # a higher number belongs to another program
_logger = log.logger("delivery-events")


def receive(event: DeliveryEvent, ledger: Ledger) -> str:
    """Apply a Resend event. Events may come twice and in any order.

    Args:
        event: what happened.
        ledger: the ledger.

    Returns:
        `suppressed`, `recorded`, `ignored`, `duplicate`; or `busy`: the event must come again in a moment.
    """
    now = ledger.now()
    enrollment, step = _step(event.email_id)
    outcome = ledger.receive(
        Report(
            what=event.what,
            at=min(event.at or now, now),
            seen=ids.digest(f"resend:{event.key}"),
            seen_ttl=SEEN_TTL,
            contact=ids.digest(event.address) if event.address else None,
            enrollment=enrollment,
            step=step,
            id=event.provider_id,
            sent=min(event.sent or event.at or now, now),
            reason=event.reason,
        )
    )
    _logger.info("resend.event", what=event.what, outcome=outcome, enrollment=enrollment, step=step)
    return outcome


def _step(email_id: str | None) -> tuple[str | None, int | None]:
    """The enrollment and the step of one of our emails; another program's tag names none."""
    try:
        enrollment, step = ids.parse_email_id(email_id or "")
    except ValueError:
        return None, None
    return (enrollment, step) if step <= MOST_STEPS else (None, None)
