"""Suppressions by the operator: stop email to an address, or allow it again."""

from __future__ import annotations

from shared.core import log
from shared.core.errors import ActionError
from shared.domain.addresses import canonical, spellings
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.contacts import REASONS, Contacts

BY_OPERATOR = ("complained", "bounced", "manual")
CONSENT = "given to the operator, who lifted the unsubscribe"
UNKNOWN = "No one with this address is known here: check the spelling."
_logger = log.logger("suppressions")


def suppress(email: str, ledger: Ledger) -> int:
    """Stop all email to an address from now on, by the operator's decision; returns how many enrollments ended.

    Args:
        email: the address, known or not.
        ledger: the truth.
    """
    return ledger.suppress(ids.digest(canonical(email)), "manual")


def is_known(email: str, ledger: Ledger) -> bool:
    """Whether an address has signed up, or waits for a confirmation."""
    return Contacts(ledger).knows(ids.digest(canonical(email)))


def unsuppress(email: str, ledger: Ledger, *, has_consent: bool = False) -> list[str]:
    """Allow email to an address again. Enrollments that ended stay ended.

    Args:
        email: the address.
        ledger: the truth.
        has_consent: whether the person has asked for it; only then is their unsubscribe removed, and the consent
            recorded.

    Returns:
        The removed reasons; none if there was no suppression.

    Raises:
        ActionError: if the person has unsubscribed and has not asked for email since.
    """
    people, contacts = Contacts(ledger), [ids.digest(spelling) for spelling in spellings(canonical(email))]
    if not has_consent and any("unsubscribed" in people.suppression(contact).reasons for contact in contacts):
        raise ActionError(
            "this person has unsubscribed, and only they can undo that: ask them to sign up again with the consent box "
            "ticked, or add --i-have-their-consent if they have asked you"
        )
    which = REASONS if has_consent else BY_OPERATOR
    found = {reason for contact in contacts for reason in ledger.lift(contact, which, consent=CONSENT)}
    lifted = [reason for reason in which if reason in found]
    _logger.info("unsuppressed", contact=contacts[0], reasons=lifted)
    return lifted
