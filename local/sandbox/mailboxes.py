"""The senders and recipients of an email: how their fields are read, and what Resend requires of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from local.sandbox.refusal import Refusal
from local.sandbox.resend.answers import invalid, missing

MAX_RECIPIENTS = 50
MAX_MAILBOX_CHARS = 512
REFUSED_DOMAINS = ("example.com", "test.com")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_ADDRESS = rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@(?:{_LABEL}\.)+{_LABEL}"
_MAILBOX = re.compile(rf"(?:[^<>\r\n]*<\s*({_ADDRESS})\s*>|({_ADDRESS}))")


def address_in(mailbox: object) -> str | None:
    """The bare address in `address` or `Name <address>`, or None if it is neither.

    Args:
        mailbox: the text to read.
    """
    if not isinstance(mailbox, str) or len(mailbox) > MAX_MAILBOX_CHARS:
        return None
    match = _MAILBOX.fullmatch(mailbox.strip())
    return (match[1] or match[2]) if match else None


def as_list(value: Any) -> list[Any]:
    """A field (one value, a list of values or absent) as a list."""
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]


def check_sender(email: dict[str, Any], *, required: bool) -> None:
    """Validate the sender.

    Args:
        email: the email.
        required: whether it must have one.

    Raises:
        Refusal: if it is missing or not an address.
    """
    sender = email.get("from")
    if not sender and required:
        raise missing("from")
    if sender and address_in(sender) is None:
        raise _bad_mailbox("from")


def check_recipients(email: dict[str, Any]) -> None:
    """Validate `to`, `cc`, `bcc` and `reply_to`.

    Raises:
        Refusal: naming the first invalid field.
    """
    if not as_list(email.get("to")):
        raise missing("to")
    for field in ("to", "cc", "bcc", "reply_to"):
        mailboxes = as_list(email.get(field))
        if len(mailboxes) > MAX_RECIPIENTS:
            raise invalid(f"Invalid `{field}` field. At most {MAX_RECIPIENTS} addresses are allowed.")
        for address in _addresses(mailboxes, field):
            if field != "reply_to" and address.rpartition("@")[2].lower() in REFUSED_DOMAINS:
                raise invalid(
                    f"Invalid `{field}` field. Use a test address such as delivered@resend.dev instead of "
                    "`example.com` and the like."
                )


def _addresses(mailboxes: list[Any], field: str) -> Iterator[str]:
    for mailbox in mailboxes:
        address = address_in(mailbox)
        if address is None:
            raise _bad_mailbox(field)
        yield address


def _bad_mailbox(field: str) -> Refusal:
    return invalid(f"Invalid `{field}` field. The address must have the form `email@domain` or `Name <email@domain>`.")
