"""calendly-noshow: Calendly reports a missed meeting (or one booked, moved or cancelled), or the operator reports one
as simple JSON."""

import time

from flask import Request, Response

from shared import services
from shared.domain.forms import NoShow
from shared.intake import meetings
from shared.integrations import calendly
from shared.web import calendars, endpoint, forms, guards

SETTINGS = services.current_settings().require("redis_url", "calendly_signing_key|operator_token")
services.catalog()


@endpoint.function("calendly-noshow")
def handle(request: Request) -> Response:
    """Verify, parse, enroll or end, answer 200 to Calendly and 202 to the operator."""
    data = endpoint.body(request)
    if "Authorization" in request.headers:
        guards.require_bearer(request, SETTINGS.accepted("operator_token"))
        return forms.reported(request, data, NoShow, trigger=meetings.NO_SHOW)
    with guards.proving("signature"):
        signature = request.headers.get("Calendly-Webhook-Signature")
        calendly.verify(data, signature, SETTINGS.accepted("calendly_signing_key"), time.time())
    return calendars.accept(request, data, calendly.events(data), calendar="Calendly", trigger="calendly-booking")
