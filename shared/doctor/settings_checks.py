"""Doctor's checks of the settings: whether they make sense together.

Each check yields findings, and each finding says how to fix it. Outside services are checked in redis_checks.py and
service_checks.py.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from email.utils import parseaddr
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from shared.core.settings import SECRETS_DIR, Settings

Level = Literal["fault", "note", "ok"]
SHORT = 16  # characters below which a secret can be guessed
SHORT_KEY = 32  # the same for a key whose signatures are in every recipient's mailbox
_REQUIRED = {
    "resend_api_key": "nothing can be sent",
    "resend_from_email": "nothing can be sent",
    "internal_token": "workers cannot call the send function",
    "unsubscribe_key": "no marketing email can be sent",
    "postal_address": "nothing can be sent: the law requires it in every marketing email",
    "operator_token": "console, postcall-maybe and onboarding-start do not start",
    "resend_webhook_secret": "resend-events does not start: bounces and complaints are not noticed",
}
_USEFUL = {
    "notion_token": "nothing is recorded in Notion, and a lost Redis cannot be rebuilt",
    "calcom_webhook_secret": "calcom-booking does not start: no reminders for Cal.com",
    "console_password": "the console has no pages",
    "cors_origins": "no website may post the forms from a browser",
}
_OWN = ("redis_password", "internal_token", "operator_token", "console_password", "unsubscribe_key")
_HIDDEN = (*_OWN, "calcom_webhook_secret", "calendly_signing_key", "website_webhook_secret", "resend_webhook_secret")
_GIVEN = ("resend_api_key", "notion_token")
NEW_SECRET = "create one with `openssl rand -hex 32`"  # noqa: S105 - how to create one, not one
_KEPT = "links in emails sent with the old UNSUBSCRIBE_KEY stop working"


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        level: `fault` (must be fixed), `note` (optional, or could not be checked), `ok`.
        about: a setting, or an outside service.
        message: the problem.
        fix: how to fix it.
    """

    level: Level
    about: str
    message: str
    fix: str = ""

    @property
    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


Findings = Iterator[Finding]


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


def required(found: Settings, in_pod: bool = False) -> Findings:
    """Settings without a value.

    Args:
        found: the settings.
        in_pod: whether this is one pod of several, each with only the secrets it needs.
    """
    levels: tuple[tuple[Level, dict[str, str]], ...] = (("fault", _REQUIRED), ("note", _USEFUL))
    for level, names in levels:
        for name, loss in names.items():
            if not getattr(found, name):
                hidden = name in (*_HIDDEN, *_GIVEN)
                file = f", or the secret file {SECRETS_DIR}/{name.replace('_', '-')}" if hidden else ""
                if hidden and in_pod:
                    yield Finding(
                        "note", name.upper(), f"this pod does not get it; if it is missing where needed, {loss}"
                    )
                else:
                    yield Finding(level, name.upper(), f"is missing; {loss}", f"set {name.upper()}{file}")
    if not (found.calendly_signing_key or found.operator_token):
        yield Finding(
            "note", "CALENDLY_SIGNING_KEY", "is missing; calendly-noshow does not start", "set it, or OPERATOR_TOKEN"
        )
    if not (found.discord_webhook_url or found.alert_email):
        yield Finding(
            "note", "DISCORD_WEBHOOK_URL", "is missing; no alert is sent when an email fails", "set it, or ALERT_EMAIL"
        )
    if found.redis_is_open:
        yield Finding(
            "fault",
            "REDIS_PASSWORD",
            "is missing, and Redis is on another machine",
            f"{NEW_SECRET}; Redis needs it too",
        )


def secrets(found: Settings) -> Findings:
    """Secrets that can be guessed, and secrets that are the same."""
    for name in _HIDDEN:
        least = SHORT_KEY if name == "unsubscribe_key" else SHORT
        if 0 < len(getattr(found, name)) < least:
            fix = f"{NEW_SECRET}, and change it everywhere" + (f"; {_KEPT}" if name == "unsubscribe_key" else "")
            yield Finding("fault", name.upper(), f"is shorter than {least} characters", fix)
    named: defaultdict[str, list[str]] = defaultdict(list)
    for name in _HIDDEN:
        named[getattr(found, name)].append(name.upper())
    for value, names in named.items():
        if value and len(names) > 1:
            fix = f"{NEW_SECRET}, a different one for each" + (f"; {_KEPT}" if "UNSUBSCRIBE_KEY" in names else "")
            yield Finding("fault", " and ".join(names), "are the same: anyone who learns one has the other", fix)


def sender(found: Settings) -> Findings:
    """The address that emails are sent from."""
    address = parseaddr(found.resend_from_email)[1]
    if found.resend_from_email and "@" not in address:
        yield Finding("fault", "RESEND_FROM_EMAIL", "has no valid address", "write it like Name <name@your-domain>")


def testing(found: Settings) -> Findings:
    """Minutes instead of days are for trials."""
    if found.testing_mode and is_live(found):
        yield Finding(
            "fault",
            "TESTING_MODE",
            "is on with the real Resend: people get every email within minutes",
            "set TESTING_MODE=false",
        )


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


def business(found: Settings) -> Findings:
    """What every email shows about the business."""
    if found.business_timezone == "UTC":
        fix = "set BUSINESS_TIMEZONE, such as America/Toronto"
        yield Finding("note", "BUSINESS_TIMEZONE", "is UTC, so send windows and reminders use UTC hours", fix)
    if found.business_name == "Evergreen":
        yield Finding(
            "note", "BUSINESS_NAME", "is not set: emails come from Evergreen", "set it to your business's name"
        )


CHECKS = (secrets, sender, testing, addresses, business)


def settings(found: Settings, in_pod: bool = False) -> Findings:
    """Every check of the settings; arguments as for `required`."""
    findings = [*required(found, in_pod), *(finding for check in CHECKS for finding in check(found))]
    yield from findings
    if not any(finding.level == "fault" for finding in findings):
        yield Finding("ok", "settings", "are complete and consistent")
