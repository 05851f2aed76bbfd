"""calcom-booking: Cal.com reports a meeting booked, moved, cancelled or missed.

Every valid event is answered 200."""

from flask import Request, Response

from shared import services
from shared.intake import meetings
from shared.integrations import calcom
from shared.web import endpoint, forms, guards

SETTINGS = services.current_settings().require("redis_url", "calcom_webhook_secret")
services.catalog()


@endpoint.function("calcom-booking")
def handle(request: Request) -> Response:
    """Verify, parse, remind, end or recover, answer 200."""
    data = endpoint.body(request)
    with guards.proving("signature"):
        signature = request.headers.get("X-Cal-Signature-256")
        calcom.verify(data, signature, SETTINGS.accepted("calcom_webhook_secret"))
    event = calcom.event(data)
    if event is None:
        return endpoint.answer(200, {"status": "accepted", "outcome": "ignored"})
    done = meetings.report(event, trigger="calcom-booking", intake=forms.intake(request, data))
    return endpoint.answer(200, {"status": "accepted", "outcome": done.what})
