"""Doubts: an email in doubt that is in Resend's list was sent, and is settled automatically. Others stay in doubt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from shared.core import log
from shared.domain import timing
from shared.domain.states import StepState
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.listing import Listing
from shared.recovery.enrollment_records import of_contacts
from shared.recovery.findings import fix
from shared.recovery.sent_list import EARLY
from shared.recovery.verify_resend import ResendWitness

SOON = timing.HOUR // 12  # after the last check, if there are new doubts
AGAIN = timing.HOUR  # if there are none
FRESH = timing.HOUR // 60  # a doubt this recent may have been too late for a check
YOUNG = 3 * timing.DAY  # what is not found by then is left to a person
_logger = log.logger("doubts")


@dataclass
class Doubts:
    """Compares emails in doubt with Resend's list from time to time. Sends Resend no request while nothing is in doubt.

    Attributes:
        ledger: holds the doubts.
        witness: creates the comparison when it is needed.
    """

    ledger: Ledger
    witness: Callable[[], ResendWitness]
    _looked: int | None = field(default=None, init=False)

    def poll(self) -> None:
        """Check, if it is time: soon after a doubt arose, then every hour for three days."""
        now = self.ledger.now()
        young = {id: since for id, since in Listing(self.ledger).doubts().items() if now - since < YOUNG}
        if not young:
            return
        if self._looked is not None:
            wait = SOON if max(young.values()) + FRESH > self._looked else AGAIN
            if 0 <= now - self._looked < wait:
                return
        self._looked = now
        self.settle(list(young))

    def settle(self, emails: list[str]) -> int:
        """Mark as `sent` what Resend's list clearly shows; returns how many.

        Args:
            emails: the ids of the emails in doubt.
        """
        contacts: set[str] = set()
        since = self.ledger.now()
        for enrollment, number in map(ids.parse_email_id, emails):
            if (run := self.ledger.enrollment(enrollment)) and (step := run.step(number)).state == StepState.IN_DOUBT:
                contacts.add(run.contact)
                since = min(since, (step.due if step.posted is None else step.posted) - EARLY)
        since = max(since, self.ledger.now() - YOUNG - timing.DAY)
        found = self.witness().compare(of_contacts(self.ledger, contacts), since) if contacts else []
        settled = fix([finding for finding in found if finding.found], self.ledger)
        for finding in settled:
            _logger.info("doubt.settled", email_id=finding.what, sent=finding.fixed)
        return sum(finding.fixed for finding in settled)
