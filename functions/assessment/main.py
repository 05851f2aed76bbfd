"""assessment: the website's assessment form. Enrolls in the campaign of that trigger; without scores it only stores the
person."""

from flask import Request, Response

from shared import services
from shared.web import endpoint, forms

services.current_settings().require("redis_url")
services.catalog()


@endpoint.function("assessment", methods=("GET", "POST"), cors=True)
def handle(request: Request) -> Response:
    """Verify, parse, enroll or store, answer 202; a GET is answered with a new challenge."""
    return forms.website(request, trigger="assessment")
