"""The console's door: one password, sessions in a signed cookie, and a throttle for who guesses."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from flask import Request
from itsdangerous import BadData, URLSafeTimedSerializer

from shared.core.errors import WebhookError
from shared.core.settings import Settings
from shared.web import guards

LASTS = 12 * 3600  # seconds
PER_ADDRESS = "5/5 minutes"
OVERALL = "20/hour"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Session:
    """Somebody's browser.

    Attributes:
        signed_in: whether it has shown the password.
        name: random; forms are bound to it.
    """

    signed_in: bool = False
    name: str = field(default_factory=lambda: secrets.token_urlsafe(16))


class Login:
    """Who may see the console.

    Args:
        settings: console_password, and operator_token, which keeps a cookie from telling anything about the password.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._key = hmac.digest(settings.operator_token.encode(), b"console:" + settings.console_password.encode(), "sha256")
        self._cookies, self._notes = (
            URLSafeTimedSerializer(self._key, salt=salt, signer_kwargs={"digest_method": hashlib.sha256}) for salt in ("session", "note")
        )

    def read(self, cookie: str) -> Session | None:
        """The session that a cookie holds, or None where it is not ours or too old."""
        try:
            signed_in, name = self._cookies.loads(cookie, max_age=LASTS)
        except (BadData, ValueError, TypeError):
            return None
        return Session(signed_in, name)

    def written(self, session: Session) -> str:
        """A session as a cookie's value."""
        return str(self._cookies.dumps([session.signed_in, session.name]))

    def note(self, text: str) -> str:
        """A sentence for the next page, as a cookie's value."""
        return str(self._notes.dumps(text))

    def read_note(self, cookie: str) -> str:
        """The sentence that a cookie holds; nothing where it is not ours or old."""
        try:
            return str(self._notes.loads(cookie, max_age=60))
        except (BadData, ValueError):
            return ""

    def form_token(self, session: Session) -> str:
        """What each form of a session carries."""
        return hmac.new(self._key, b"form:" + session.name.encode(), "sha256").hexdigest()

    def check_form(self, request: Request, session: Session, token: str) -> None:
        """Let only forms of our own pages pass, sent from them; raises WebhookError 403."""
        if not self._from_here(request) or not hmac.compare_digest(token.encode(), self.form_token(session).encode()):
            guards.refused("form")
            raise WebhookError(403, "This form is out of date, or it was not sent from the console. Open the page again; nothing was done.")

    def _from_here(self, request: Request) -> bool:
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        if site:
            return site == "same-origin"
        ours = {request.host, urlsplit(self._settings.public_url).netloc}
        return origin is None or urlsplit(origin).netloc in ours

    def open(self, request: Request, password: str) -> Session:
        """Sign in.

        Args:
            request: from where.
            password: what was typed.

        Raises:
            WebhookError: 429 after too many attempts, 401 for a wrong password.
        """
        guards.limit_rate("console login", guards.client_ip(request), PER_ADDRESS)
        guards.limit_rate("console logins", "all", OVERALL)
        given, known = (hashlib.sha256(text.encode()).digest() for text in (password, self._settings.console_password))
        if not hmac.compare_digest(given, known):
            guards.refused("password")
            raise WebhookError(401, "That is not the password.")
        return Session(signed_in=True)


def is_near(request: Request) -> bool:
    """Whether the browser runs on this machine, so that a cookie may go without TLS."""
    return request.host.rsplit(":", 1)[0].strip("[]") in _LOOPBACK
