"""Access to the console: one password, Flask's session in a signed cookie, and a proof for each form.

Every decision about access is logged with the network that it came from, never with what was entered."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from urllib.parse import urlsplit

from flask import Flask, Request, g, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_wtf.csrf import (  # type: ignore[import-untyped]  # shipped without types
    CSRFError,
    CSRFProtect,
    generate_csrf,
    validate_csrf,
)
from werkzeug.wrappers import Response

from shared import services
from shared.console import attempts
from shared.console.looks import BASE
from shared.core import log, proofs
from shared.core.errors import TooManyRequests, WebhookError
from shared.core.settings import Settings
from shared.ledger import sessions
from shared.web import guards, known_browser

LASTS = 12 * 3600  # seconds
IDLE = 30 * 60  # seconds without a request, after which it ends earlier
_NOTED_EVERY = 60  # seconds; a request sooner than that does not change the cookie
COOKIE = "evergreen_console"
VISITOR = "evergreen_visitor"  # before the password is shown
KNOWN = "evergreen_known"  # after it was shown
_logger = log.logger("console")
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
        return not known_browser.is_on_this_machine(request)


def secret_keys(settings: Settings) -> list[bytes]:
    """The keys that sign the cookies, the newest last: a new password or token ends every session and makes every
    browser unknown, unless the old token is still accepted; cookies reveal nothing about the password."""
    tokens = reversed(settings.accepted("operator_token"))
    signed = b"console:" + settings.console_password.encode()
    return [hmac.digest(token.encode(), signed, "sha256") for token in tokens]


def is_signed_in() -> bool:
    """Whether this browser has signed in within twelve hours, made a request within 30 minutes, and not signed out."""
    if "since" not in session:
        return False
    now = int(time.time())
    seen = session.get("seen", session["since"])
    if why := _ended(now, seen):
        _logger.info("console.session_ended", why=why, network=guards.network(request))
        session.pop("since")  # it is told once
        return False
    if now - seen >= _NOTED_EVERY:
        session["seen"] = now
    return True


def _ended(now: int, seen: int) -> str | None:
    if not 0 <= now - session["since"] < LASTS:
        return "twelve hours"
    if now - seen >= IDLE:
        return "idle"
    return "signed out" if sessions.has_ended(services.ledger(), session["name"]) else None


def form_token() -> str:
    """The proof that a form came from our pages. In hex, it needs no quoting wherever it is copied to."""
    return str(generate_csrf().encode().hex())


def check_form(settings: Settings) -> None:
    """Accept only forms sent from our own pages; raises WebhookError 403.

    Args:
        settings: public_url is one of the console's addresses.
    """
    try:
        if not _from_here(settings):
            raise CSRFError
        validate_csrf(bytes.fromhex(request.form.get("token", "")).decode())
    except (CSRFError, ValueError):  # validate_csrf's own is a ValueError
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
    networks = guards.visitor(request).networks
    browser = _known_browsers(settings).name(request)
    try:
        attempt = attempts.count(browser, networks)
    except TooManyRequests as limited:
        _logger.warning("console.limited", network=guards.network(request), seconds=limited.retry_after)
        raise
    if not proofs.is_one_of(password, [settings.console_password]):
        attempts.failed(attempt)
        guards.refused("password")
        _logger.warning("console.refused", network=guards.network(request), known=attempt.is_known)
        raise WebhookError(401, "Wrong password.")
    attempts.succeeded(attempt)
    g.cookie = COOKIE
    session.clear()
    now = int(time.time())
    session.update(name=secrets.token_urlsafe(16), since=now, seen=now)
    session.permanent = True
    _logger.info("console.signed_in", network=guards.network(request), known=attempt.is_known)


def remember_browser(response: Response, settings: Settings) -> None:
    """Let a browser that has just signed in prove it later, so that the guesses of others do not lock it out."""
    _known_browsers(settings).remember(request, response)


def _known_browsers(settings: Settings) -> known_browser.KnownBrowsers:
    return known_browser.KnownBrowsers(secret_keys(settings), cookie=KNOWN, path=BASE)


def sign_out() -> None:
    """End the session, including every copy of its cookie. The browser stays known."""
    sessions.end(services.ledger(), session["name"], LASTS)
    session.clear()
    _logger.info("console.signed_out", network=guards.network(request))
