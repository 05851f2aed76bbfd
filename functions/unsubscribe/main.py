"""unsubscribe: the links in emails to stop them, and at `/confirm`, to confirm an address.

Opening a link changes nothing; the page's button does, or a mail program's one-click request (RFC 8058)."""

from flask import Request, Response
from redis.exceptions import RedisError

from shared import services
from shared.core.errors import EvergreenError, LedgerError
from shared.intake import confirming
from shared.sending import confirm_link, unsubscribe_link
from shared.web import endpoint, forms, guards
from shared.web.recipient_page import page

SETTINGS = services.current_settings().require("redis_url", "unsubscribe_key")
KEYS = SETTINGS.accepted("unsubscribe_key")
STOP, CONFIRM = "Unsubscribe", "Yes, this is my address"


@endpoint.function("unsubscribe", methods=("GET", "HEAD", "POST"))
def handle(request: Request) -> Response:
    """GET asks, POST decides; both need the token of the link."""
    token = request.args.get("token", "")
    return _confirm(request, token) if request.path.startswith("/confirm") else _unsubscribe(request, token)


def _unsubscribe(request: Request, token: str) -> Response:
    contact = unsubscribe_link.contact_of(token, keys=KEYS)
    if contact is None:
        return _incomplete("or reply to the email to unsubscribe.")
    if request.method != "POST":
        text = f"You will get no more of them from {SETTINGS.business_name}."
        return page(200, "Stop these emails?", text, button=STOP)
    try:
        services.ledger().suppress(contact, "unsubscribed")
    except (RedisError, EvergreenError):
        return _not_now(STOP)
    text = "You will get no more of these emails, only reminders of meetings that you book."
    return page(200, "You are unsubscribed", text)


def _confirm(request: Request, token: str) -> Response:
    asked = confirm_link.asked_of(token, keys=KEYS)
    if asked is None:
        return _incomplete("or sign up once more on our website.")
    if request.method != "POST":
        text = f"Then {SETTINGS.business_name} sends you the emails that you signed up for."
        return page(200, "Is this your email address?", text, button=CONFIRM)
    try:
        is_confirmed = confirming.confirm(*asked, forms.intake(request, b""))
    except (RedisError, LedgerError):
        return _not_now(CONFIRM)
    if not is_confirmed:
        return page(410, "This link has expired", "Please sign up once more on our website.")
    return page(200, "Thank you, your address is confirmed", f"{SETTINGS.business_name} sends you the emails that you signed up for.")


def _incomplete(otherwise: str) -> Response:
    guards.refused("link")
    return page(401, "This link is incomplete", f"Please open it again from the email, {otherwise}")


def _not_now(button: str) -> Response:
    return page(503, "That did not work just now", "Please press the button again in a minute.", button=button)
