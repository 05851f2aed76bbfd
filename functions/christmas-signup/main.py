"""christmas-signup: the website's Christmas form enrolls in the campaign of that trigger, or only remembers who signed up."""

from flask import Request, Response

from shared import endpoint, enrolling, services
from shared.models import SignUp

NAME = "christmas-signup"
services.current_settings().require("redis_url")
services.catalog()


@endpoint.function(NAME, cors=True)
def handle(request: Request) -> Response:
    """Verify, parse, enroll, answer 202."""
    settings, ledger = services.current_settings(), services.ledger()
    data = endpoint.body(request)
    proved = endpoint.prove_or_limit(request, data)
    form = endpoint.parse(request, data, SignUp)
    if form.fax_number:  # only a robot fills the field that nobody sees
        return endpoint.answer(202, enrolling.Answer(form.email, None).body)
    if not proved:
        endpoint.limit_rate("address", form.email, settings.webhook_rate_per_address)
    answer = enrolling.sign_up(
        form,
        trigger=NAME,
        ledger=ledger,
        catalog=services.catalog(),
        settings=settings,
        now=ledger.now(),
        request_id=endpoint.request_id(request),
        key=endpoint.idempotency_key(request),
    )
    return endpoint.answer(202, answer.body)
