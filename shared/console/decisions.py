"""What the console's forms do, and the page that asks before what cannot be undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Request
from pydantic import TypeAdapter, ValidationError

from shared import services
from shared.console.actions import ANEW_BATCH, OF_RUN, OF_STEP
from shared.console.looks import Shown, address
from shared.console.views import Views
from shared.core.errors import ActionError, WebhookError
from shared.core.settings import Settings
from shared.domain.forms import Email
from shared.operations import suppressions
from shared.operations.enrollment_actions import STOPPED, EnrollmentActions
from shared.preview import test_email

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
LONGEST_REASON = 200


@dataclass(frozen=True)
class Done:
    """What became of a form.

    Attributes:
        where: the page that shows it.
        said: a sentence for that page.
        failed: whether the sentence says why not.
    """

    where: str
    said: str
    failed: bool = False


@dataclass(frozen=True)
class Decisions:
    """The forms' effects, through the use cases of the API and the command line.

    Every method raises ActionError where a decision does not fit.

    Attributes:
        settings: of this process.
        views: what there is.
    """

    settings: Settings
    views: Views

    @property
    def _steering(self) -> EnrollmentActions:
        return EnrollmentActions(services.ledger(), services.catalog(), self.settings)

    def ask(self, request: Request, enrollment: str, decision: str, step: int | None = None) -> Shown:
        """The question before a decision about an enrollment or a step."""
        run, email, asked = *self._meant(enrollment, step), (OF_RUN if step is None else OF_STEP)[decision]
        back = "/failures" if request.args.get("from") == "failures" else ""
        values = {"run": run, "email": email, "asked": asked, "back": back, "batch": 0}
        if asked is ANEW_BATCH and step is not None:
            values["batch"] = self._batch(enrollment, step)
        return Shown("ask.html", asked.title or asked.label, values)

    def _batch(self, enrollment: str, step: int) -> int:
        """How many emails of a step's batch are in doubt, itself included; 0 where it is not."""
        try:
            return len(self._steering.batch(enrollment, step))
        except ActionError:
            return 0

    def ask_stop(self, _request: Request) -> Shown:
        """The question before all sending stops."""
        return Shown("stop.html", "Stop all sending", {"reason": STOPPED, "longest": LONGEST_REASON})

    def decide(self, form: dict[str, str], enrollment: str, decision: str, step: int | None = None) -> Done:
        """Steer an enrollment or a step."""
        self._meant(enrollment, step)
        asked = (OF_RUN if step is None else OF_STEP)[decision]
        asked.take(self._steering, enrollment, step)
        return Done(address("failures") if form.get("back") == "/failures" else address("enrollments", enrollment), asked.done)

    def _meant(self, enrollment: str, step: int | None) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The enrollment and the step that an address names; raises WebhookError 404."""
        run = self.views.run(enrollment)
        email = next((known for known in run["steps"] if known["step"] == step), None)
        if step is not None and email is None:
            raise WebhookError(404, f"This enrollment has no email {step}.")
        return run, email

    def gate(self, form: dict[str, str], decision: str) -> Done:
        """Stop all sending, or start it again."""
        if decision == "start":
            self._steering.start_sending()
            return Done(address(), "Sending again: what is due goes out now.")
        self._steering.stop_sending(" ".join(form.get("reason", "").split())[:LONGEST_REASON] or STOPPED)
        return Done(address(), "Stopped: nothing is sent until you start it again.")

    def suppress(self, form: dict[str, str], decision: str) -> Done:
        """Keep an address from all email, or let it get email again."""
        email, where = _address(form), address("suppressions")
        if decision == "add":
            ended = suppressions.suppress(email, services.ledger())
            return Done(where, f"This address gets no more email; enrollments that ended: {ended}.")
        lifted = suppressions.unsuppress(email, services.ledger(), has_consent=form.get("consent") == "yes")
        if not lifted:
            return Done(where, "This address was not suppressed.", failed=True)
        own_list = {"bounced", "complained"} & set(lifted)
        more = " Resend has a suppression list of its own: take the address off it there, too." if own_list else ""
        return Done(where, f"Lifted: {', '.join(lifted)}.{more}")

    def test(self, form: dict[str, str], slug: str, template: str) -> Done:
        """Send an email, filled for a made-up person, to the owner."""
        if not (self.settings.resend_api_key and self.settings.resend_from_email):
            raise ActionError("RESEND_API_KEY and RESEND_FROM_EMAIL are not set for the console, so it cannot send.")
        segment = form.get("segment", "")
        key = self.views.key(slug, template)
        sent = test_email.send_test(self.views.sample(key, self.views.named(segment)), _address(form), self.settings)
        return Done(address("campaigns", slug, template, segment=segment), f"Sent; Resend calls it {sent}.")


def _address(form: dict[str, str]) -> str:
    try:
        return _EMAIL.validate_python(form.get("email", ""))
    except ValidationError:
        raise ActionError("That is no email address.") from None
