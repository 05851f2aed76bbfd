"""`evergreen doctor`: checks every setting and outside service, and says how to fix what is wrong."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Mapping

import click
import requests
from redis.exceptions import RedisError
from rich.markup import escape
from rich.table import Table

from commands import clients
from commands.printing import MARKS, as_json, console, print_json, speaks_plainly
from shared import services
from shared.core.errors import CampaignError, SettingsError
from shared.core.settings import Settings
from shared.doctor import redis_checks, service_checks, settings_checks
from shared.doctor.findings import Finding, Findings
from shared.doctor.service_checks import Answer
from shared.emails.template_store import compile_templates
from shared.ledger.redis_errors import reason

TIMEOUT = 5  # seconds per request


@click.command()
@as_json
@speaks_plainly
def doctor(as_json: bool) -> None:
    """Check every setting and outside service, and say how to fix what is wrong.

    Only reads, and sends nothing. Exit status 1 when something must be fixed."""
    findings: list[Finding] = []
    with console.status("Checking the settings ...") as status:
        for name, check in _checks().items():
            status.update(f"Checking {name} ...")
            findings += _seen(check)
    if as_json:
        print_json([finding.as_dict for finding in findings])
    else:
        _print(findings)
    raise SystemExit(any(finding.level == "fault" for finding in findings))


def _seen(check: Callable[[], Findings]) -> Findings:
    """What a check finds, even if Redis stops responding halfway or denies access."""
    try:
        yield from check()
    except RedisError as error:
        why = reason(error)
        yield Finding("fault", "Redis", f"refused the check: it {why.what}", why.fix)


def _checks() -> dict[str, Callable[[], Findings]]:
    """The checks, in order; if the settings cannot be read, only that is reported."""
    try:
        found = clients.settings(logs="CRITICAL")
    except SettingsError as error:
        wrong = Finding("fault", "settings", str(error), "correct each one; .env.example explains them")
        return {"the settings": lambda: iter([wrong])}
    checks: dict[str, Callable[[], Findings]] = {
        "the settings": lambda: settings_checks.settings(found, in_pod="KUBERNETES_SERVICE_HOST" in os.environ),
        "the campaigns": lambda: _campaigns(found),
        "Redis": lambda: _redis(found),
        "Resend": lambda: service_checks.resend(found, _ask),
        "Discord": lambda: service_checks.discord(found, _ask),
        "the public address": lambda: service_checks.public(found, _ask),
    }
    if found.notion_token:
        client = services.notion(lambda: None, timeout=TIMEOUT)
        checks["Notion"] = lambda: service_checks.notion(found, client, clients.notion_columns())
    return checks


def _redis(found: Settings) -> Findings:
    yield from redis_checks.redis(services.ledger(), found, lambda: time.time_ns() // 1_000_000)


def _campaigns(found: Settings) -> Findings:
    try:
        campaigns = services.catalog()
        compile_templates(campaigns, found)
    except (CampaignError, SettingsError) as error:
        yield Finding("fault", "campaigns", str(error), "correct the file; until then no process starts")
    else:
        yield Finding("ok", "campaigns", f"{len(campaigns.campaigns)} with {len(campaigns.sources)} emails")


def _ask(url: str, headers: Mapping[str, str]) -> Answer:
    """A GET request that follows no redirect; status 0 means no response."""
    try:
        answer = requests.get(url, headers=dict(headers), timeout=TIMEOUT, allow_redirects=False)
    except (requests.RequestException, ValueError):  # ValueError: a key with characters that no header allows
        return Answer(0)
    try:
        said = answer.json()
    except ValueError:
        said = None
    lower = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(answer.status_code, said if isinstance(said, dict) else {}, lower)


def _print(findings: list[Finding]) -> None:
    for level, same in itertools.groupby(
        sorted(findings, key=lambda finding: tuple(MARKS).index(finding.level)), key=lambda one: one.level
    ):
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(min_width=5)
        table.add_column(no_wrap=True, overflow="fold")
        table.add_column()
        for finding in same:
            fix = f"\n[dim]→ {escape(finding.fix)}[/]" if finding.fix else ""
            table.add_row(MARKS[level], escape(finding.about), escape(finding.message) + fix)
        console.print(table)
    faults = sum(finding.level == "fault" for finding in findings)
    if faults:
        console.print(f"\n[bold red]{faults} problem{'s' if faults > 1 else ''} to fix.[/]")
    else:
        console.print("\n[green]Nothing to fix.[/]")
