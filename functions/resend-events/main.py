"""resend-events: Resend reports what happened to an email: delivered, opened, bounced, ...

Every valid event is answered 200."""

from flask import Request, Response

from shared import services
from shared.core.errors import WebhookError
from shared.intake import delivery_events
from shared.integrations import resend_events
from shared.web import endpoint, guards

SETTINGS = services.current_settings().require("redis_url", "resend_webhook_secret")
SOON = 5  # seconds, after which the sender of that email has reported


@endpoint.function("resend-events")
def handle(request: Request) -> Response:
    """Verify, parse, record or suppress, answer 200."""
    data = endpoint.body(request)
    with guards.proving("signature"):
        key = resend_events.verify(data, dict(request.headers), SETTINGS.accepted("resend_webhook_secret"))
    event = resend_events.event(data, key)
    outcome = delivery_events.receive(event, services.ledger()) if event else "ignored"
    if outcome == "busy":
        raise WebhookError(503, "this email is being sent right now; retry in a moment", retry_after=SOON)
    return endpoint.answer(200, {"status": "accepted", "outcome": outcome})
