"""The public door for tests: strangers who post forms from their networks, an operator who proves what they post, and
the mail that the owner of a mailbox gets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from redis import Redis

from shared.core.settings import Settings
from shared.domain.catalog import Campaign, Catalog
from shared.domain.enrollments import Contact, Enrollment
from shared.domain.forms import ProvedSignUp, SignUp
from shared.domain.visitors import Visitor
from shared.intake import confirming, enrolling
from shared.intake.context import Intake
from shared.intake.enrolling import Answer
from shared.ledger import held, ids
from shared.ledger.client import Ledger
from shared.ledger.enroll_orders import Challenge
from shared.sending import confirm_link
from shared.sending.confirm_link import Asked
from shared.sending.confirmations import Confirmations
from tests.conftest import Clock
from tests.support.provider_double import MemoryProvider
from tests.support.world import ADA, SETTINGS

ADDRESS = str(ADA["email"])
CONTACT = ids.digest(ADDRESS)
HOME, CAFE = "192.0.2.7/32", "198.51.100.9/32"


def campaign(slug: str, **changes: Any) -> Campaign:
    """A campaign of three daily emails, triggered by the webhook of its name."""
    steps = [{"number": number, "after": f"{24 * (number - 1)}h", "template": "x"} for number in (1, 2, 3)]
    least = {"slug": slug, "name": slug, "trigger": slug, "late": {"after": "12h", "policy": "send"}, "steps": steps}
    return Campaign.model_validate(least | changes)


CAMPAIGNS = (
    campaign("plain"),
    campaign("always", confirm="always"),
    campaign("never", confirm="never"),
    campaign("agreed", requires=["consent"]),
    campaign("scored", requires=["assessment"]),
    campaign("again", confirm="always", reentry="when-finished"),
    campaign("nurture", group="nurture", confirm="always"),
    campaign("other", group="nurture"),
)
CATALOG = Catalog({found.slug: found for found in CAMPAIGNS}, {})


@dataclass
class Door:
    """Where forms come in, and confirmation emails go out."""

    ledger: Ledger
    clock: Clock
    settings: Settings = SETTINGS
    catalog: Catalog = CATALOG
    provider: MemoryProvider = None  # type: ignore[assignment]  # one of its own, made below

    def __post_init__(self) -> None:
        if self.provider is None:
            self.provider = MemoryProvider(self.clock)

    @property
    def redis(self) -> Redis:
        """The database."""
        return self.ledger.redis

    def intake(self, **more: Any) -> Intake:
        """Where things come in now."""
        return Intake(self.ledger, self.catalog, self.settings, self.clock.now, "request-1", **more)

    def post(
        self,
        trigger: str = "plain",
        *networks: str,
        solved: Challenge | None = None,
        key: str | None = None,
        **form: Any,
    ) -> Answer:
        """A stranger posts a form (Ada's by default) from their networks, narrowest first."""
        came = networks or (HOME,)
        more = {"visitor": Visitor(came[0], came), "solved": solved, "network": came[0], "key": key}
        given = SignUp.model_validate({"email": ADDRESS} | form)
        return enrolling.sign_up(given, trigger=trigger, intake=self.intake(page="https://shop.example.org/", **more))

    def prove(self, trigger: str = "plain", **form: Any) -> Answer:
        """The website's server signs a form."""
        given = ProvedSignUp.model_validate({"email": ADDRESS} | form)
        return enrolling.sign_up(given, trigger=trigger, intake=self.intake())

    def outcomes(self, times: int, trigger: str = "plain", *networks: str, **form: Any) -> list[str]:
        """What becomes of that many sign-ups, each of another address."""
        return [
            self.post(
                trigger, *networks, **{"email": f"p{self.redis.incr('test:people')}@example.org"} | form
            ).outcome.what
            for _ in range(times)
        ]

    def confirm(self, email: str = ADDRESS, since: int | None = None) -> bool:
        """The owner of the mailbox presses the button of the latest email, or of one of another time."""
        contact = ids.digest(email)
        asked = held.of_contact(self.ledger, contact).since if since is None else since
        return confirming.confirm(contact, asked, self.intake())

    @property
    def confirmations(self) -> Confirmations:
        """Sends confirmation emails."""
        return Confirmations(self.ledger, self.provider, self.settings, sleep=lambda _: None)

    def ask(self, hours: float = 0) -> list[str]:
        """Let time pass, then send the confirmation emails that are next; to whom they went."""
        self.clock.advance(hours=hours)
        before = len(self.provider.accepted)
        self.confirmations.ask()
        return [email["to"][0] for email in self.provider.accepted[before:]]

    def links(self, email: dict[str, Any]) -> list[Asked]:
        """What the confirmation links of an email name."""
        tokens = re.findall(r"/confirm\?token=([^\"\s)&<]+)", email["html"] + email["text"])
        found = [confirm_link.asked_of(unquote(token), keys=(self.settings.unsubscribe_key,)) for token in tokens]
        return [asked for asked in found if asked]

    def enrollment(self, slug: str, email: str = ADDRESS, number: int = 1) -> Enrollment | None:
        """A contact's enrollment in a campaign."""
        return self.ledger.enrollment(f"{ids.enrollment_prefix(slug, email)}-{number}")

    def fields(self, email: str = ADDRESS) -> dict[str, str]:
        """What is remembered about a contact."""
        return dict((self.ledger.contact(ids.digest(email)) or Contact()).fields)

    def held(self, email: str = ADDRESS) -> list[str]:
        """The sign-ups that a contact has held."""
        return list(held.of_contact(self.ledger, ids.digest(email)).records)
