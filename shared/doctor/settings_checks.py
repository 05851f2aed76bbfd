"""Doctor's checks of the settings: whether they make sense together.

Each check yields findings, and each finding says how to fix it. Addresses are checked in address_checks.py, outside
services in redis_checks.py, ledger_checks.py and service_checks.py.
"""

from __future__ import annotations

from collections import defaultdict
from email.utils import parseaddr

from shared.core.secret_strength import NEW
from shared.core.settings import PAIRS, SECRETS_DIR, Settings
from shared.doctor.address_checks import addresses, is_live
from shared.doctor.findings import Finding, Findings, Level

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
_OWN = ("redis_password", "internal_token", "operator_token", "console_password", "unsubscribe_key", "challenge_key")
_HIDDEN = (*_OWN, "calcom_webhook_secret", "calendly_signing_key", "website_webhook_secret", "resend_webhook_secret")
_GIVEN = ("resend_api_key", "notion_token")
_KEPT = "keep the old UNSUBSCRIBE_KEY as UNSUBSCRIBE_KEY_PREVIOUS, or links already sent stop working"


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
                yield _missing(name, level, loss, in_pod)
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
            f"{NEW}; Redis needs it too",
        )


def _missing(name: str, level: Level, loss: str, in_pod: bool) -> Finding:
    if name not in (*_HIDDEN, *_GIVEN):
        return Finding(level, name.upper(), f"is missing; {loss}", f"set {name.upper()}")
    if in_pod:
        return Finding("note", name.upper(), f"this pod does not get it; if it is missing where needed, {loss}")
    file = f"{SECRETS_DIR}/{name.replace('_', '-')}"
    return Finding(level, name.upper(), f"is missing; {loss}", f"set {name.upper()}, or the secret file {file}")


def secrets(found: Settings) -> Findings:
    """Secrets that are the same, and replaced ones that still count. Those that can be guessed are refused at start."""
    yield from _same(found)
    for name in PAIRS:
        if getattr(found, f"{name}_previous"):
            fix = f"remove it when everything uses the new {name.upper()}"
            yield Finding("note", f"{name.upper()}_PREVIOUS", "is still accepted", fix)


def _same(found: Settings) -> Findings:
    named: defaultdict[str, list[str]] = defaultdict(list)
    for name in (*_HIDDEN, *(f"{name}_previous" for name in PAIRS)):
        named[getattr(found, name)].append(name.upper())
    for value, names in named.items():
        if value and len(names) > 1:
            fix = f"{NEW}, a different one for each" + (f"; {_KEPT}" if "UNSUBSCRIBE_KEY" in names else "")
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
