"""signup: the website's newsletter form.

No campaign of this release starts here: it stores who signed up, and what they agreed to."""

from flask import Request, Response

from shared import services
from shared.web import endpoint, forms

services.current_settings().require("redis_url")
services.catalog()


@endpoint.function("signup", methods=("GET", "POST"), cors=True)
def handle(request: Request) -> Response:
    """Verify, parse, enroll or store, answer 202; a GET is answered with a new challenge."""
    return forms.website(request, trigger="signup")
