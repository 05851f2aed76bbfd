"""calcom-booking: Cal.com reports a meeting booked, moved, cancelled or missed.

Everything that Cal.com signed is answered 200."""

import time

from flask import Request, Response

from shared import services
from shared.integrations import calcom
from shared.web import calendars, endpoint, guards

SETTINGS = services.current_settings().require("redis_url", "calcom_webhook_secret")
services.catalog()


@endpoint.function("calcom-booking")
def handle(request: Request) -> Response:
    """Verify, parse, remind, end or recover, answer 200."""
    data = endpoint.body(request)
    with guards.proving("signature"):
        signature = request.headers.get("X-Cal-Signature-256")
        calcom.verify(data, signature, SETTINGS.accepted("calcom_webhook_secret"))
    found = calcom.events(data, round(time.time() * 1000))
    return calendars.accept(request, data, found, calendar="Cal.com", trigger="calcom-booking")
