"""A small Evergreen for tests: the real ledger, templates and use cases, with a clock that the test moves and a
provider in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from redis import Redis

from shared.core.settings import Settings
from shared.domain import campaign_files
from shared.domain.catalog import Catalog
from shared.domain.enrollments import Enrollment
from shared.domain.forms import SignUp
from shared.emails.template_store import Templates, compile_templates
from shared.intake import enrolling
from shared.intake.context import Intake
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.sending.result import Result
from shared.sending.sender import Sender
from tests.conftest import Clock
from tests.support.provider_double import MemoryProvider

SETTINGS = Settings(
    resend_api_key="re_test",
    resend_from_email="Evergreen <hello@evergreen.example.org>",
    internal_token="internal-8f3b1d6c4e",
    unsubscribe_key="unsubscribe-4d1f7a9c3e8b2056f1a3",
    postal_address="1 Main Street, Springfield",
    resend_rate=1000,
    resend_batch_above=1_000_000,
)
ADA = {"email": "ada@example.org", "first_name": "Ada", "assessment_score": 45, "red_systems": 2, "orange_systems": 1}


@cache
def _mail() -> tuple[Catalog, Templates]:
    found = campaign_files.load()
    return found, compile_templates(found, SETTINGS)


@dataclass
class World:
    """Everything from a sign-up to the provider, run manually: `sign_up`, `release`, `work`."""

    ledger: Ledger
    clock: Clock
    settings: Settings = SETTINGS
    provider: MemoryProvider = field(init=False)
    sender: Sender = field(init=False)

    def __post_init__(self) -> None:
        self.provider = MemoryProvider(self.clock)
        found, templates = _mail()
        self.sender = Sender(
            self.ledger,
            found,
            templates,
            self.provider,
            self.settings,
            sleep=lambda length: self.clock.advance(seconds=length),
        )

    def _sleep(self, length: float) -> None:
        self.clock.advance(seconds=length)

    @property
    def redis(self) -> Redis:
        """The database."""
        return self.ledger.redis

    @property
    def intake(self) -> Intake:
        """Where things come in now."""
        return Intake(self.ledger, self.sender.catalog, self.settings, self.clock.now, "request-1")

    def sign_up(self, form: dict[str, Any] | None = None, **changes: Any) -> str:
        """Sign a person up for Christmas (Ada by default); returns the enrollment's id."""
        body: dict[str, Any] = {**(form or ADA), **changes}
        enrolling.sign_up(SignUp.model_validate(body), trigger="christmas-signup", intake=self.intake)
        return f"{ids.enrollment_prefix('christmas', body['email'])}-1"

    def run(self, enrollment: str) -> Enrollment:
        """The enrollment as the ledger has it."""
        found = self.ledger.enrollment(enrollment)
        assert found is not None
        return found

    def states(self, enrollment: str) -> list[str]:
        """The states of its steps, in order."""
        return [step.state for step in self.run(enrollment).steps]

    def release(self) -> int:
        """Release all that is due; returns how many looks that was."""
        return self.ledger.release_all()

    def next_job(self) -> tuple[str, int] | None:
        """Take a look off the queue, as a worker does; like RQ, forget the job. The jobs that ask for confirmations are
        passed over."""
        while job := str(self.redis.lpop(ids.QUEUE) or ""):
            self.redis.delete(f"rq:job:{job}")
            if not job.startswith("confirm-"):
                return ids.parse_job_id(job)
        return None

    def work(self) -> list[Result]:
        """Release what is due and send what is on the queue, until nothing moves."""
        results = []
        while self.release() or self.redis.llen(ids.QUEUE):
            while job := self.next_job():
                results.append(self.sender.send(*job))
        return results

    def live(self, hours: float) -> None:
        """Let time pass, a quarter of an hour at a step, and work and sweep at each."""
        suspects: set[str] = set()
        for _ in range(round(hours * 4)):
            self.clock.advance(hours=0.25)
            self.work()
            suspects, _woken = self.ledger.sweep(suspects)
            self.work()
