"""send-email: sends one step of one enrollment, for a worker; at `/confirmations`, the confirmation emails that are
next. Internal: never reachable from outside."""

from flask import Request, Response
from pydantic import BaseModel, Field

from shared import services
from shared.emails.template_store import Store
from shared.sending.confirmations import Confirmations
from shared.sending.sender import Sender
from shared.web import endpoint, guards

SETTINGS = services.current_settings().require(
    "redis_url",
    "resend_api_key",
    "resend_from_email",
    "internal_token",
    "unsubscribe_key",
    "postal_address",
    "business_name",
)
SENDER = Sender(
    ledger=services.ledger(),
    catalog=services.catalog(),
    templates=Store(services.catalog(), SETTINGS, services.ledger()),
    provider=services.resend(),
    settings=SETTINGS,
)
CONFIRMATIONS = Confirmations(services.ledger(), services.resend(), SETTINGS)


class Order(BaseModel):
    """Which step to send."""

    enrollment: str = Field(max_length=100)
    step: int = Field(ge=1, le=99)


@endpoint.function("send-email")
def handle(request: Request) -> Response:
    """Verify, parse, send, report the result."""
    guards.require_bearer(request, SETTINGS.accepted("internal_token"))
    if request.path.rstrip("/").endswith("/confirmations"):
        return endpoint.answer(200, {"result": "asked", "count": CONFIRMATIONS.ask()})
    order = endpoint.parse(request, endpoint.body(request), Order.model_validate)
    result = SENDER.send(order.enrollment, order.step)
    body: dict[str, object] = {"result": result.result, "until": result.until, "why": result.why}
    return endpoint.answer(429 if result.paced else 200, body, retry_after=1 if result.paced else None)
