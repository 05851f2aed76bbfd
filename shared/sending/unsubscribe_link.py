"""The token in every unsubscribe link: it names a contact, needs no login, and cannot be forged."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlencode


def _signature(contact: str, key: str) -> str:
    return hmac.new(key.encode(), f"unsubscribe:{contact}".encode(), hashlib.sha256).hexdigest()[:32]


def link(contact: str, *, key: str, public_url: str) -> str:
    """The address that unsubscribes a contact; it never expires.

    Args:
        contact: the contact's id, which is not its address.
        key: the secret `UNSUBSCRIBE_KEY`.
        public_url: where the functions are reached from outside.
    """
    return f"{public_url.rstrip('/')}/unsubscribe?{urlencode({'token': f'{contact}.{_signature(contact, key)}'})}"


def contact_of(token: str, *, key: str) -> str | None:
    """The contact that a token names, or None if the token is not ours."""
    contact, _, signature = token.partition(".")
    return contact if hmac.compare_digest(signature.encode(), _signature(contact, key).encode()) else None
