"""A browser that has signed in before: a signed cookie proves it, opens nothing, and ends when its key changes.

It is why strangers cannot lock the owner out: however many guess, from wherever, such a browser has a budget of its
own. The budget is small, so a stolen cookie allows a few guesses an hour and no more.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from flask import Request
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.wrappers import Response

LASTS = 180 * 24 * 3600  # seconds
GUESSES = "10/hour"  # of one known browser
Answer = TypeVar("Answer", bound=Response)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class KnownBrowsers:
    """Who signs and reads the cookie.

    Attributes:
        keys: the newest last; it signs, all are accepted.
        cookie: the cookie's name.
        path: the path that it is sent to.
    """

    keys: Sequence[bytes]
    cookie: str
    path: str

    def name(self, request: Request) -> str | None:
        """The random name of the browser that sent a request; None if it has not signed in before."""
        try:
            return str(self._serializer.loads(request.cookies.get(self.cookie, ""), max_age=LASTS))
        except BadData:
            return None

    def remember(self, request: Request, response: Answer) -> Answer:
        """Let the browser prove from now on that it has signed in.

        Args:
            request: the one with the right password.
            response: its answer.

        Returns:
            The answer, with the cookie.
        """
        value = str(self._serializer.dumps(self.name(request) or secrets.token_urlsafe(16)))
        response.set_cookie(
            self.cookie,
            value,
            max_age=LASTS,
            path=self.path,
            secure=not is_on_this_machine(request),
            httponly=True,
            samesite="Strict",
        )
        return response

    @property
    def _serializer(self) -> URLSafeTimedSerializer:
        how = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        return URLSafeTimedSerializer(list(self.keys), salt=self.cookie, signer_kwargs=how)


def is_on_this_machine(request: Request) -> bool:
    """Whether the browser opened an address of its own machine, where there is no TLS."""
    return request.host.rsplit(":", 1)[0].strip("[]") in _LOOPBACK
