"""Who visits, as limits count them: the address that the last trusted proxy saw, and the networks around it."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from flask import Request

from shared.domain.visitors import Visitor

UNKNOWN = "unknown"
# One subscriber has a /64 at least, many have a /56, and a company a /48: single addresses cost nothing.
IPV6_PREFIXES = (64, 56, 48)


def identify(request: Request, trusted: Iterable[IPv4Network | IPv6Network]) -> Visitor:
    """The visitor behind the proxies: the peer, or what trusted proxies report of theirs.

    Each proxy adds its own peer to `X-Forwarded-For`, on the right. So the header is read from there, for as long as
    the address before is that of a trusted proxy; what a visitor wrote into it is further to the left.

    Args:
        request: the request.
        trusted: the networks of the proxies.
    """
    networks = list(trusted)
    hops = [hop for hop in request.headers.get("X-Forwarded-For", "").split(",") if hop.strip()]
    address = _address(request.remote_addr or "")
    while hops and address and any(address in network for network in networks):
        address = _address(hops.pop())
    return _visitor(address)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address that may have a port (`192.0.2.1:80`, `[2001:db8::1]:443`) or a zone (`fe80::1%eth0`)."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _visitor(address: IPv4Address | IPv6Address | None) -> Visitor:
    if address is None:
        return Visitor(UNKNOWN, (UNKNOWN,))
    prefixes = IPV6_PREFIXES if isinstance(address, IPv6Address) else (32,)
    return Visitor(str(address), tuple(str(ip_network((address, prefix), strict=False)) for prefix in prefixes))
