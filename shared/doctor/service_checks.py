"""Doctor's checks of outside services: Resend, Notion, Discord, and your own public address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.core.settings import Settings
from shared.doctor.findings import Finding, Findings
from shared.domain.addresses import canonical
from shared.integrations.notion import Notion
from shared.ledger.notion_columns import NotionColumns
from shared.notion import setup_check

SHARED_DOMAIN = "resend.dev"  # https://resend.com/docs/knowledge-base/what-email-addresses-to-use-for-testing


@dataclass(frozen=True)
class Answer:
    """A response: its HTTP status (0: none), its JSON if it is an object, and its headers in lower case."""

    status: int
    said: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


Ask = Callable[[str, Mapping[str, str]], Answer]


def resend(found: Settings, ask: Ask) -> Findings:
    """The key, the domain, and the rate, without sending (https://resend.com/docs/api-reference/domains/list-domains).

    Args:
        found: the settings.
        ask: makes a GET request with an address and headers.
    """
    if not found.resend_api_key:
        return
    url, key = found.resend_api_url.rstrip("/"), {"Authorization": f"Bearer {found.resend_api_key}"}
    domains = ask(f"{url}/domains?limit=100", key)
    heard = (
        domains if domains.status not in (404, 405) else ask(f"{url}/emails?limit=1", key)
    )  # a sandbox may have no domains
    if heard.said.get("name") == "restricted_api_key":
        message = "the key may only send, which is fine; see resend.com/domains for whether the domain is verified"
        yield Finding("ok", "RESEND_API_KEY", message)
    elif heard.status == 0:
        yield Finding(
            "fault", "Resend", "cannot be reached", "allow this machine to reach it, and check RESEND_API_URL"
        )
    elif heard.status in (400, 401, 403):
        fix = "create one at resend.com/api-keys, and set RESEND_API_KEY"
        yield Finding(
            "fault", "RESEND_API_KEY", f"Resend refuses it ({heard.status} {heard.said.get('name', '')})", fix
        )
    elif heard.status != 200:
        yield Finding(
            "note",
            "Resend",
            f"answered {heard.status}",
            "try again in a minute; resend-status.com shows whether it is down",
        )
    else:
        yield Finding("ok", "RESEND_API_KEY", "is valid")
        yield from _domain(found, domains)
    yield from _rate(found, heard)


def _domain(found: Settings, heard: Answer) -> Findings:
    own = canonical(found.resend_from_email).rpartition("@")[2]
    if own == SHARED_DOMAIN:
        fix = "verify your own domain at resend.com/domains"
        yield Finding("note", "RESEND_FROM_EMAIL", "uses Resend's own domain, so emails reach only you", fix)
    elif heard.status != 200:
        yield Finding("note", "RESEND_FROM_EMAIL", "cannot check whether its domain is verified")
    elif own:
        states = {
            canonical(f"any@{domain.get('name')}").partition("@")[2]: str(domain.get("status"))
            for domain in heard.said.get("data") or []
        }
        if own not in states:
            there = ", ".join(states) or "none"
            fix = f"add {own} at resend.com/domains, or send from one already there"
            yield Finding(
                "fault", "RESEND_FROM_EMAIL", f"Resend does not know the domain {own}; it knows: {there}", fix
            )
        elif states[own] != "verified":
            fix = "set the DNS records that resend.com/domains shows, and press Verify there"
            yield Finding("fault", "RESEND_FROM_EMAIL", f"the domain {own} is not verified ({states[own]})", fix)
        else:
            yield Finding("ok", "RESEND_FROM_EMAIL", f"the domain {own} is verified")


def _rate(found: Settings, heard: Answer) -> Findings:
    allowed = heard.headers.get("ratelimit-limit", "")
    if allowed.isdecimal() and found.resend_rate > int(allowed):
        message = f"is {found.resend_rate:g} requests a second, but Resend allows {allowed}"
        yield Finding("fault", "RESEND_RATE", message, f"set RESEND_RATE={allowed}, or 0 to follow Resend's limit")


def notion(found: Settings, client: Notion, known: NotionColumns | None) -> Findings:
    """Every database and column, as in `evergreen notion check`."""
    for seen in setup_check.check(client, found, known):
        where = f"{seen.source}: {seen.column} " if seen.column else f"{seen.source}: "
        yield Finding(seen.level, "Notion", f"{where}{seen.message}", seen.fix)


def discord(found: Settings, ask: Ask) -> Findings:
    """The channel's webhook; checking it posts nothing
    (https://discord.com/developers/docs/resources/webhook#get-webhook-with-token)."""
    if not found.discord_webhook_url:
        return
    heard = ask(found.discord_webhook_url, {})
    if heard.status == 200:
        yield Finding("ok", "Discord", "has the webhook")
    elif heard.status in (401, 403, 404):
        fix = "create a webhook in the channel's settings (Integrations), and set DISCORD_WEBHOOK_URL"
        yield Finding("fault", "DISCORD_WEBHOOK_URL", f"Discord does not know it ({heard.status})", fix)
    else:
        yield Finding(
            "note",
            "Discord",
            f"answered {heard.status}" if heard.status else "cannot be reached",
            "try again in a minute",
        )


def public(found: Settings, ask: Ask) -> Findings:
    """Evergreen's own health, through its public address."""
    heard = ask(f"{found.public_url.rstrip('/')}/health", {})
    if "status" not in heard.said:
        what = f"answered {heard.status}, which is not Evergreen's health" if heard.status else "cannot be reached"
        fix = "correct PUBLIC_URL, or the ingress that routes it to the functions (deploy/)"
        yield Finding("fault", "PUBLIC_URL", f"{found.public_url}/health {what}", fix)
    elif heard.status == 503:
        yield Finding(
            "note", "health", f"is degraded: {', '.join(heard.said.get('reasons') or [])}", "the other findings say why"
        )
    else:
        yield Finding("ok", "PUBLIC_URL", "leads to Evergreen")
