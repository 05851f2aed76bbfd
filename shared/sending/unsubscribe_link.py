"""The token in every unsubscribe link: it names a contact, needs no login, and cannot be forged."""

from __future__ import annotations

from urllib.parse import urlencode

from shared.sending import signed_tokens

_PURPOSE = "unsubscribe"


def link(contact: str, *, key: str, public_url: str) -> str:
    """The address that unsubscribes a contact; it never expires.

    Args:
        contact: the contact's id, which is not its address.
        key: the secret `UNSUBSCRIBE_KEY`.
        public_url: where the functions are reached from outside.
    """
    return f"{public_url.rstrip('/')}/unsubscribe?{urlencode({'token': signed_tokens.sign(contact, _PURPOSE, key)})}"


def contact_of(token: str, *, keys: tuple[str, ...]) -> str | None:
    """The contact that a token names, or None if the token is not ours.

    Args:
        token: as in the link.
        keys: UNSUBSCRIBE_KEY, and the one that it replaces.
    """
    return signed_tokens.subject_of(token, _PURPOSE, keys)
