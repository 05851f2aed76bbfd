"""Access to the console: one password, Flask's session in a signed cookie, and a proof for each form."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from urllib.parse import urlsplit

from flask import Flask, Request, g, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_wtf.csrf import CSRFError, CSRFProtect  # type: ignore[import-untyped]  # shipped without types

from shared import services
from shared.core.errors import WebhookError
from shared.core.settings import Settings
from shared.ledger import limits, sessions
from shared.web import guards

LASTS = 12 * 3600  # seconds
PER_ADDRESS = "5/5 minutes"
OVERALL = "20/hour"
COOKIE = "evergreen_console"
VISITOR = "evergreen_visitor"  # before the password is shown
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
csrf = CSRFProtect()


class Sessions(SecureCookieSessionInterface):
    """Flask's, with a separate cookie for visitors: opening the login page at another address must not end a
    session."""

    digest_method = staticmethod(hashlib.sha256)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The session or, without one, the visitor."""
        g.cookie = COOKIE
        found = super().open_session(app, request)
        if found:
            return found
        g.cookie = VISITOR
        return super().open_session(app, request)

    def get_cookie_name(self, app: Flask) -> str:
        """Which of the two to read or write."""
        return str(g.cookie)

    def get_cookie_secure(self, app: Flask) -> bool:
        """Without TLS the cookie is set only for a browser on this machine."""
        return request.host.rsplit(":", 1)[0].strip("[]") not in _LOOPBACK


def secret_key(settings: Settings) -> bytes:
    """The key that signs the cookies: a new password or token ends every session, and cookies reveal nothing about the
    password."""
    return hmac.digest(settings.operator_token.encode(), b"console:" + settings.console_password.encode(), "sha256")


def is_signed_in() -> bool:
    """Whether this browser has signed in within twelve hours, and not logged out."""
    if not 0 <= time.time() - session.get("since", 0) < LASTS:
        return False
    return not sessions.has_ended(services.ledger(), session["name"])


def check_form(settings: Settings) -> None:
    """Accept only forms sent from our own pages; raises WebhookError 403.

    Args:
        settings: public_url is one of the console's addresses.
    """
    try:
        if not _from_here(settings):
            raise CSRFError
        csrf.protect()
    except CSRFError:
        guards.refused("form")
        message = "This form is out of date, or was not sent from the console. Nothing was done. Open the page again."
        raise WebhookError(403, message) from None


def _from_here(settings: Settings) -> bool:
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site:
        return site == "same-origin"
    ours = {request.host, urlsplit(settings.public_url).netloc}
    return origin is None or urlsplit(origin).netloc in ours


def sign_in(password: str, settings: Settings) -> None:
    """Start a session.

    Args:
        password: the password entered.
        settings: console_password.

    Raises:
        WebhookError: 429 after too many wrong passwords, 401 for a wrong password.
    """
    attempts = ("console login", guards.client_ip(request), PER_ADDRESS), ("console logins", "all", OVERALL)
    for attempt in attempts:
        guards.limit_rate(*attempt)
    given, known = (hashlib.sha256(text.encode()).digest() for text in (password, settings.console_password))
    if not hmac.compare_digest(given, known):
        guards.refused("password")
        raise WebhookError(401, "Wrong password.")
    for attempt in attempts:
        limits.give_back(services.ledger(), guards.limit(*attempt))
    g.cookie = COOKIE
    session.clear()
    session.update(name=secrets.token_urlsafe(16), since=int(time.time()))
    session.permanent = True


def sign_out() -> None:
    """End the session, including every copy of its cookie."""
    sessions.end(services.ledger(), session["name"], LASTS)
    session.clear()
