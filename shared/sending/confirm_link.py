"""The link in a confirmation email: it names a contact and when it was asked, and cannot be forged."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlencode

from shared.sending import signed_tokens

_PURPOSE = "confirm"


class Asked(NamedTuple):
    """Who was asked for a confirmation, and since when (milliseconds since 1970 UTC)."""

    contact: str
    since: int


def link(asked: Asked, *, key: str, public_url: str) -> str:
    """The address of the page with the button.

    Args:
        asked: the contact's id, which is not its address, and the time.
        key: UNSUBSCRIBE_KEY.
        public_url: where the functions are reached from outside.
    """
    token = signed_tokens.sign(f"{asked.contact}-{asked.since}", _PURPOSE, key)
    return f"{public_url.rstrip('/')}/confirm?{urlencode({'token': token})}"


def asked_of(token: str, *, keys: tuple[str, ...]) -> Asked | None:
    """What a token says, or None if it is not ours.

    Args:
        token: as in the link.
        keys: UNSUBSCRIBE_KEY, and the one that it replaces.
    """
    subject = signed_tokens.subject_of(token, _PURPOSE, keys)
    contact, _, since = (subject or "").rpartition("-")
    return Asked(contact, int(since)) if subject else None
