"""christmas-assessment: the website's Christmas assessment enrolls in the five-day campaign, whose first email the
website sends itself."""

from flask import Request, Response

from shared import services
from shared.web import endpoint, forms

services.current_settings().require("redis_url")
services.catalog()


@endpoint.function("christmas-assessment", cors=True)
def handle(request: Request) -> Response:
    """Verify, parse, enroll or remember, answer 202."""
    return forms.website(request, trigger="christmas-assessment")
