"""The customers of a stack: whose emails are due during an attack, and who leave meanwhile."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import requests

from benchmarks import campaigns
from local.trial import Trial
from shared.core.settings import Settings
from shared.domain.catalog import Catalog
from shared.domain.forms import ProvedSignUp
from shared.intake.context import Intake
from shared.intake.enrolling import sign_up
from shared.ledger import ids
from shared.sending import unsubscribe_link

ANSWER_WITHIN = 60  # seconds


@dataclass
class Customers:
    """Customers who are enrolled by a proved way.

    Attributes:
        trial: the stack.
        catalog: its campaigns.
        group: a word that no other group of this stack has.
        dues: when each email is due, in seconds since 1970, by its id.
        answers: how many seconds each unsubscribe took.
        refused: the statuses of those that did not work.
    """

    trial: Trial
    catalog: Catalog
    group: str
    dues: dict[str, float] = field(default_factory=dict)
    answers: list[float] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)

    def enroll(self, count: int, leavers: int, first: float, seconds: float) -> None:
        """Enroll them.

        Args:
            count: each gets one email.
            leavers: nothing is due for them; they unsubscribe.
            first: when the first email is due, in seconds since 1970; the others follow evenly.
            seconds: until the last one.
        """
        for number in range(count):
            due = first + seconds * number / count
            email = f"{self.group}-{number}@example.org"
            self._sign_up(email, "once", due)
            self.dues[ids.email_id(f"{ids.enrollment_prefix('once', email)}-1", 1)] = round(due * 1000) / 1000
        for number in range(leavers):
            self._sign_up(self._leaver(number), "later", time.time())

    def _sign_up(self, email: str, campaign: str, anchor: float) -> None:
        intake = Intake(self.trial.ledger(), self.catalog, Settings(), round(time.time() * 1000), "benchmark")
        form = ProvedSignUp(email=email, first_name="Ada", email_1_sent_at=datetime.fromtimestamp(anchor, UTC))
        done = sign_up(form, trigger=campaigns.TRIGGERS[campaign], intake=intake)
        if done.outcome.what != "enrolled":
            raise RuntimeError(f"a customer was not enrolled: {done.outcome.what}")

    def _leaver(self, number: int) -> str:
        return f"{self.group}-leaver-{number}@example.org"

    def leave(self, number: int) -> None:
        """Press the button of an unsubscribe link."""
        key = (self.trial.directory / "secrets" / "unsubscribe-key").read_text().strip()
        link = unsubscribe_link.link(ids.digest(self._leaver(number)), key=key, public_url=self.trial.url)
        began = time.perf_counter()
        status = requests.post(link, timeout=ANSWER_WITHIN).status_code
        self.answers.append(time.perf_counter() - began)
        if status != 200:
            self.refused.append(status)
