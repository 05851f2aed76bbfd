"""unsubscribe: the link in every email.

Opening it changes nothing; the page's button, or a mail program's one-click request (RFC 8058), does."""

from flask import Request, Response, render_template_string
from redis.exceptions import RedisError

from shared import services
from shared.core.errors import LedgerTooNew
from shared.sending import unsubscribe_link
from shared.web import endpoint, guards

SETTINGS = services.current_settings().require("redis_url", "unsubscribe_key")
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex"><title>{{ title }} · {{ business }}</title>
<style>
body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 32rem; margin: 15vh auto 0; padding: 0 1.25rem }
h1 { font-size: 1.5rem; line-height: 1.25 }
button { font: inherit; font-weight: 600; padding: .6rem 1.2rem; border: 0; border-radius: .4rem; cursor: pointer;
  background: #1f6f54; color: #fff }
button:focus-visible { outline: 3px solid #7bc4a6; outline-offset: 2px }
</style>
</head>
<body><main><h1>{{ title }}</h1><p>{{ text }}</p>
{% if ask %}<form method="post"><button>Unsubscribe</button></form>{% endif %}
</main></body></html>"""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"


def _page(status: int, title: str, text: str, *, ask: bool = False) -> Response:
    html = render_template_string(PAGE, title=title, text=text, ask=ask, business=SETTINGS.business_name)
    response = Response(html, status, mimetype="text/html")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@endpoint.function("unsubscribe", methods=("GET", "HEAD", "POST"))
def handle(request: Request) -> Response:
    """GET asks, POST unsubscribes; both need the token of the link."""
    contact = unsubscribe_link.contact_of(request.args.get("token", ""), keys=SETTINGS.accepted("unsubscribe_key"))
    if contact is None:
        guards.refused("link")
        return _page(
            401,
            "This link is incomplete",
            "Please open it again from the email, or reply to the email to unsubscribe.",
        )
    if request.method != "POST":
        return _page(
            200, "Stop these emails?", f"You will get no more of them from {SETTINGS.business_name}.", ask=True
        )
    try:
        services.ledger().suppress(contact, "unsubscribed")
    except (RedisError, LedgerTooNew):
        response = _page(503, "That did not work just now", "Please press the button again in a minute.", ask=True)
        response.headers["Retry-After"] = "60"
        return response
    return _page(
        200,
        "You are unsubscribed",
        "You will get no more of these emails, only reminders of meetings that you book.",
    )
