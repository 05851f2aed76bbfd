"""Visitors: where an unproved request comes from, and when two addresses belong to one mailbox."""

from __future__ import annotations

from dataclasses import dataclass

_GMAIL = ("gmail.com", "googlemail.com")


@dataclass(frozen=True)
class Visitor:
    """Where a request comes from.

    Attributes:
        address: the IP address in its usual form, IPv4 also where it was mapped into IPv6; `unknown` if there is none.
        networks: what limits count, narrowest first: an IPv4 address, or the /64, /56 and /48 of an IPv6 address. All
            unknown visitors count as one.
    """

    address: str
    networks: tuple[str, ...]


def mailbox(email: str) -> str:
    """The mailbox that an address belongs to: without a plus-tag, and for Gmail without dots.

    Args:
        email: an address in the form that is compared and stored.
    """
    local, _, domain = email.rpartition("@")
    local = local.partition("+")[0] or local
    if domain in _GMAIL:
        return f"{local.replace('.', '')}@{_GMAIL[0]}"
    return f"{local}@{domain}"
