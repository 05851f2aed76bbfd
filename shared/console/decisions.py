"""What the console's forms do, and the confirmation page for what cannot be undone."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request
from werkzeug.wrappers import Response

from shared import services
from shared.console import campaign_pages, pages
from shared.console.actions import BATCH_AS_NEW, OF_RUN, OF_STEP, Decision, enrollment_actions
from shared.console.login import within
from shared.console.looks import address
from shared.core.errors import ActionError, RenderingError, SendError, WebhookError
from shared.domain.addresses import canonical
from shared.operations import suppressions
from shared.operations.enrollment_actions import STOPPED
from shared.preview import test_email

LONGEST_REASON = 200
LONGEST_SAID = 1000  # a cookie holds four thousand bytes
decisions = Blueprint("decisions", __name__)


@decisions.errorhandler(ActionError)
@decisions.errorhandler(RenderingError)
@decisions.errorhandler(SendError)
def _refused(error: Exception) -> Response:
    return _said(error.reason if isinstance(error, SendError) else str(error), "bad")


def _said(text: str, kind: str = "good") -> Response:
    """Redirect to the page that the form names, or else to the decision's own, and show the result there."""
    flash(text if len(text) <= LONGEST_SAID else text[:LONGEST_SAID] + "…", kind)
    return redirect(within(request.form["back"]) if request.form.get("back") else g.page, 303)


@decisions.get("/enrollments/<enrollment>/<decision>")
@decisions.get("/enrollments/<enrollment>/steps/<int:step>/<decision>")
def ask(enrollment: str, decision: str, step: int | None = None) -> str:
    """The confirmation page for a decision about an enrollment or a step."""
    asked, run, email = _decision(decision, step), *_meant(enrollment, step)
    back = "/failures" if request.args.get("from") == "failures" else ""
    batch = _batch(enrollment, step) if asked is BATCH_AS_NEW and step is not None else 0
    title = asked.title or asked.label
    return render_template("ask.html", title=title, run=run, email=email, asked=asked, back=back, batch=batch)


@decisions.post("/enrollments/<enrollment>/<decision>")
@decisions.post("/enrollments/<enrollment>/steps/<int:step>/<decision>")
def decide(enrollment: str, decision: str, step: int | None = None) -> Response:
    """Carry out a decision about an enrollment or a step."""
    g.page = address("enrollments", enrollment)
    asked, _ = _decision(decision, step), _meant(enrollment, step)
    asked.take(enrollment_actions(), enrollment, *([] if step is None else [step]))
    return _said(asked.done)


def _decision(name: str, step: int | None) -> Decision:
    if not (found := (OF_RUN if step is None else OF_STEP).get(name)):
        raise WebhookError(404, "The address may be misspelled, or the page is gone.")
    return found


def _meant(enrollment: str, step: int | None) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The enrollment and the step that an address names; raises WebhookError 404."""
    run = pages.run_of(enrollment)
    email = next((known for known in run["steps"] if known["step"] == step), None)
    if step is not None and email is None:
        raise WebhookError(404, f"This enrollment has no email {step}.")
    return run, email


def _batch(enrollment: str, step: int) -> int:
    """How many emails of a step's batch are in doubt, including its own; 0 if the step is not."""
    try:
        return len(enrollment_actions().batch(enrollment, step))
    except ActionError:
        return 0


@decisions.get("/sending/stop")
def ask_stop() -> str:
    """The confirmation page for stopping all sending."""
    return render_template("stop.html", title="Stop all sending", reason=STOPPED, longest=LONGEST_REASON)


@decisions.post("/sending/stop")
def stop_sending() -> Response:
    """Stop all sending."""
    g.page = address()
    enrollment_actions().stop_sending(" ".join(request.form.get("reason", "").split())[:LONGEST_REASON] or STOPPED)
    return _said("Stopped: nothing is sent until you start it again.")


@decisions.post("/sending/start")
def start_sending() -> Response:
    """Start sending again."""
    g.page = address()
    enrollment_actions().start_sending()
    return _said("Sending resumed: due emails go out now.")


@decisions.post("/suppressions/add")
def suppress() -> Response:
    """Stop all email to an address."""
    g.page = address("suppressions")
    email, ledger = _address(), services.ledger()
    ended = suppressions.suppress(email, ledger)
    unknown = "" if suppressions.is_known(email, ledger) else f" {suppressions.UNKNOWN}"
    return _said(f"This address gets no more email. Enrollments ended: {ended}.{unknown}")


@decisions.post("/suppressions/lift")
def unsuppress() -> Response:
    """Allow email to an address again."""
    g.page, has_consent = address("suppressions"), request.form.get("consent") == "yes"
    lifted = suppressions.unsuppress(_address(), services.ledger(), has_consent=has_consent)
    if not lifted:
        raise ActionError("This address was not suppressed.")
    own_list = {"bounced", "complained"} & set(lifted)
    more = " Resend has its own suppression list: remove the address there too." if own_list else ""
    return _said(f"Unblocked. Removed: {', '.join(lifted)}.{more}")


@decisions.post("/campaigns/<slug>/<template>/test")
def send_test(slug: str, template: str) -> Response:
    """Send an email for a sample person to the owner."""
    segment, settings = request.form.get("segment", ""), services.current_settings()
    g.page, key = address("campaigns", slug, template, segment=segment), campaign_pages.key_of(slug, template)
    if not (settings.resend_api_key and settings.resend_from_email):
        raise ActionError("RESEND_API_KEY and RESEND_FROM_EMAIL are not set for the console, so it cannot send.")
    sent = test_email.send_test(campaign_pages.sample(key, campaign_pages.segment_of(segment)), _address(), settings)
    return _said(f"Sent; its Resend ID is {sent}.")


def _address() -> str:
    if not (found := canonical(request.form.get("email", ""))):
        raise ActionError("That is not a valid email address.")
    return found
