"""What the console's forms do, and the page that asks before what cannot be undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from pydantic import TypeAdapter, ValidationError
from werkzeug.wrappers import Response

from shared import services
from shared.console import pages
from shared.console.actions import ANEW_BATCH, OF_RUN, OF_STEP, Decision, enrollment_actions
from shared.console.login import within
from shared.console.looks import address
from shared.core.errors import ActionError, RenderingError, SendError, WebhookError
from shared.domain.forms import Email
from shared.operations import suppressions
from shared.operations.enrollment_actions import STOPPED
from shared.preview import test_email

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
LONGEST_REASON = 200
LONGEST_SAID = 1000  # a cookie holds four thousand bytes
decisions = Blueprint("decisions", __name__)


def _done(where: str, decide: Callable[[], str]) -> Response:
    """Do what a form asks for, and say on the next page what became of it.

    Args:
        where: that page.
        decide: does it; returns the sentence.
    """
    try:
        said, kind = decide(), "good"
    except (ActionError, RenderingError) as error:
        said, kind = str(error), "bad"
    except SendError as error:
        said, kind = error.reason, "bad"
    flash(said if len(said) <= LONGEST_SAID else said[:LONGEST_SAID] + "…", kind)
    return redirect(within(request.form["back"]) if request.form.get("back") else where, 303)


@decisions.get("/enrollments/<enrollment>/<decision>")
@decisions.get("/enrollments/<enrollment>/steps/<int:step>/<decision>")
def ask(enrollment: str, decision: str, step: int | None = None) -> str:
    """The question before a decision about an enrollment or a step."""
    asked, run, email = _decision(decision, step), *_meant(enrollment, step)
    back = "/failures" if request.args.get("from") == "failures" else ""
    batch = _batch(enrollment, step) if asked is ANEW_BATCH and step is not None else 0
    title = asked.title or asked.label
    return render_template("ask.html", title=title, run=run, email=email, asked=asked, back=back, batch=batch)


@decisions.post("/enrollments/<enrollment>/<decision>")
@decisions.post("/enrollments/<enrollment>/steps/<int:step>/<decision>")
def decide(enrollment: str, decision: str, step: int | None = None) -> Response:
    """Steer an enrollment or a step."""
    asked, _ = _decision(decision, step), _meant(enrollment, step)

    def take() -> str:
        asked.take(enrollment_actions(), enrollment, step or 0)
        return asked.done

    return _done(address("enrollments", enrollment), take)


def _decision(name: str, step: int | None) -> Decision:
    if not (found := (OF_RUN if step is None else OF_STEP).get(name)):
        raise WebhookError(404, "The address may be misspelled, or what it showed is gone.")
    return found


def _meant(enrollment: str, step: int | None) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The enrollment and the step that an address names; raises WebhookError 404."""
    run = pages.run_of(enrollment)
    email = next((known for known in run["steps"] if known["step"] == step), None)
    if step is not None and email is None:
        raise WebhookError(404, f"This enrollment has no email {step}.")
    return run, email


def _batch(enrollment: str, step: int) -> int:
    """How many emails of a step's batch are in doubt, itself included; 0 where it is not."""
    try:
        return len(enrollment_actions().batch(enrollment, step))
    except ActionError:
        return 0


@decisions.get("/sending/stop")
def ask_stop() -> str:
    """The question before all sending stops."""
    return render_template("stop.html", title="Stop all sending", reason=STOPPED, longest=LONGEST_REASON)


@decisions.post("/sending/stop")
def stop_sending() -> Response:
    """Stop all sending."""

    def stop() -> str:
        enrollment_actions().stop_sending(" ".join(request.form.get("reason", "").split())[:LONGEST_REASON] or STOPPED)
        return "Stopped: nothing is sent until you start it again."

    return _done(address(), stop)


@decisions.post("/sending/start")
def start_sending() -> Response:
    """Start sending again."""

    def start() -> str:
        enrollment_actions().start_sending()
        return "Sending again: what is due goes out now."

    return _done(address(), start)


@decisions.post("/suppressions/add")
def suppress() -> Response:
    """Keep an address from all email."""

    def add() -> str:
        ended = suppressions.suppress(_address(), services.ledger())
        return f"This address gets no more email; enrollments that ended: {ended}."

    return _done(address("suppressions"), add)


@decisions.post("/suppressions/lift")
def unsuppress() -> Response:
    """Let an address get email again."""

    def lift() -> str:
        lifted = suppressions.unsuppress(
            _address(), services.ledger(), has_consent=request.form.get("consent") == "yes"
        )
        if not lifted:
            raise ActionError("This address was not suppressed.")
        own_list = {"bounced", "complained"} & set(lifted)
        more = " Resend has a suppression list of its own: take the address off it there, too." if own_list else ""
        return f"Lifted: {', '.join(lifted)}.{more}"

    return _done(address("suppressions"), lift)


@decisions.post("/campaigns/<slug>/<template>/test")
def send_test(slug: str, template: str) -> Response:
    """Send an email, filled for a made-up person, to the owner."""
    key, settings, segment = pages.key_of(slug, template), services.current_settings(), request.form.get("segment", "")

    def send() -> str:
        if not (settings.resend_api_key and settings.resend_from_email):
            raise ActionError("RESEND_API_KEY and RESEND_FROM_EMAIL are not set for the console, so it cannot send.")
        sent = test_email.send_test(pages.sample(key, pages.segment_of(segment)), _address(), settings)
        return f"Sent; Resend calls it {sent}."

    return _done(address("campaigns", slug, template, segment=segment), send)


def _address() -> str:
    try:
        return _EMAIL.validate_python(request.form.get("email", ""))
    except ValidationError:
        raise ActionError("That is not an email address.") from None
