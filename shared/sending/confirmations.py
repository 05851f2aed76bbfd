"""Asking for confirmations: one email, and one reminder a day later, to the owner of a mailbox that a form named.

It prints nothing that was typed. The ledger decides who is asked, and how many in an hour."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.core import log
from shared.core.errors import SendError
from shared.core.settings import Settings
from shared.domain.addresses import to_ascii
from shared.emails.page import Brand
from shared.emails.rendering import compile_template
from shared.intake import held_forms
from shared.integrations.provider import Provider
from shared.ledger.answers import Asking
from shared.ledger.client import Ledger
from shared.sending import confirm_link, unsubscribe_link

LEASE = 60  # seconds
ASK_FOR = 5.0  # seconds that one call takes at most, and the last request; the rest gets another job
STAY_FOR = 2.0  # seconds that it waits for a turn at the provider
RETRY_AFTER = 60  # seconds
_REASON = "You are receiving this email because this address was entered in a form on our website."
_TEXTS = {number: Path(__file__).with_name(f"confirmation_{number}.md").read_text("utf-8") for number in (1, 2)}
_logger = log.logger("confirmations")


def written(asking: Asking, address: str, settings: Settings) -> dict[str, Any]:
    """The email that asks, in the provider's form.

    Args:
        asking: who is asked, and which email it is (1 or 2).
        address: the contact's.
        settings: the sender.
    """
    asked = confirm_link.Asked(asking.contact, asking.since)
    url = confirm_link.link(asked, key=settings.unsubscribe_key, public_url=settings.public_url)
    source = _TEXTS[min(asking.number, 2)].replace("CONFIRM_URL", url)
    brand = Brand(settings.business_name, settings.postal_address, settings.brand_color, settings.brand_logo_url)
    stop = unsubscribe_link.link(asking.contact, key=settings.unsubscribe_key, public_url=settings.public_url)
    email = compile_template(source, name="confirmation", brand=brand, reason=_REASON).render({}, unsubscribe_url=stop)
    request: dict[str, Any] = {
        "from": to_ascii(settings.resend_from_email),
        "to": [to_ascii(address)],
        "subject": email.subject,
        "html": email.html,
        "text": email.text,
        "tags": [{"name": "confirmation", "value": str(asking.number)}],
        "headers": {"List-Unsubscribe": f"<{stop}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
    }
    if settings.resend_reply_to:
        request["reply_to"] = to_ascii(settings.resend_reply_to)
    return request


@dataclass(frozen=True)
class Confirmations:
    """What asking needs: the ledger, the provider, the settings, and a way to wait that tests replace."""

    ledger: Ledger
    provider: Provider
    settings: Settings
    sleep: Callable[[float], None] = time.sleep

    def ask(self) -> int:
        """Ask those who are next, for some seconds; returns how many."""
        ends, count = time.monotonic() + ASK_FOR, 0
        while time.monotonic() < ends and self._may_leave() and self._ask_next():
            count += 1
        return count

    def _may_leave(self) -> bool:
        """Wait for a turn at the provider, before the ledger says who is next: nothing lies between that and the
        post."""
        wait = self.ledger.pace("resend", self.settings.resend_rate, longest=STAY_FOR)
        self.sleep(max(0.0, wait))
        return wait >= 0

    def _ask_next(self) -> bool:
        """Ask one contact; returns whether to go on."""
        asking = self.ledger.confirmation(lease=LEASE, fenced=self.settings.fenced)
        if asking is None:
            return False
        address = held_forms.read(asking.records[0]).form.email
        key = f"confirm-{asking.contact}-{asking.since}-{asking.number}"
        try:
            self.provider.send(written(asking, address, self.settings), key=key)
        except SendError as error:
            return self._not_sent(asking, error)
        self.ledger.asked(asking.contact, "sent")
        _logger.info("confirmation.sent", contact=asking.contact, number=asking.number)
        return True

    def _not_sent(self, asking: Asking, error: SendError) -> bool:
        """A definite refusal ends it. Everything else is tried again under the same key, so that nothing arrives
        twice; a conflict says that it has arrived."""
        _logger.warning("confirmation.not_sent", contact=asking.contact, why=error.reason, kind=error.kind)
        match error.kind:
            case "refused" | "rejected":
                self.ledger.asked(asking.contact, "refused")
            case "conflict":
                self.ledger.asked(asking.contact, "sent")
            case _:
                self.ledger.asked(asking.contact, "wait", wait=error.retry_after or RETRY_AFTER)
                return False
        return True
