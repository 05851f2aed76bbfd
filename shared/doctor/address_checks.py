"""Doctor's checks of the addresses in the settings: where links lead, and which pages may post."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from shared.core.settings import Settings
from shared.doctor.findings import Finding, Findings


def _parts(url: str) -> SplitResult:
    """The parts of an address; all empty if it is not valid."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def on_this_machine(url: str) -> bool:
    """Whether an address leads to this machine."""
    return bool(re.fullmatch(r"localhost|::1|127(\.\d+){3}", _parts(url).hostname or ""))


def is_live(found: Settings) -> bool:
    """Whether real people get the emails."""
    return not on_this_machine(found.resend_api_url)


def addresses(found: Settings) -> Findings:
    """Link targets, and pages that may post."""
    for origin in found.cors_origins:
        yield from _origin(origin)
    if is_live(found):
        yield from _public_url(found)
        booking = _parts(found.booking_url)
        if booking.scheme != "https":
            yield Finding(
                "fault", "BOOKING_URL", "does not begin with https://", "write the full address of your booking page"
            )
        elif found.booking_url.rstrip("/") == "https://cal.com":
            fix = "set BOOKING_URL to your booking page, such as https://cal.com/you/call"
            yield Finding("fault", "BOOKING_URL", "is not set: the buttons lead to Cal.com's own front page", fix)


def _origin(origin: str) -> Findings:
    parts = _parts(origin)
    fix = "write only scheme and host, such as https://www.example.org"
    if parts.scheme != "https" and not on_this_machine(origin):
        yield Finding("fault", "CORS_ORIGINS", f"{origin} does not begin with https://", fix)
    elif parts.path or parts.query or not parts.netloc:
        yield Finding("fault", "CORS_ORIGINS", f"{origin} has a path: browsers send no path, so it never matches", fix)


def _public_url(found: Settings) -> Findings:
    if on_this_machine(found.public_url):
        fix = "set PUBLIC_URL to the public address of the functions"
        yield Finding("fault", "PUBLIC_URL", "leads to this machine: no one else can unsubscribe", fix)
    elif not found.public_url.startswith("https://"):
        yield Finding(
            "fault",
            "PUBLIC_URL",
            "does not begin with https://: mail programs refuse one-click unsubscribing",
            "write https://",
        )
