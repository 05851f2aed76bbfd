"""The start message: the addresses of the stack and a request to try."""

from __future__ import annotations

import json
from pathlib import Path

from local.ports import HOST
from local.stack import Place

SAMPLE = {
    "email": "ada@example.org",
    "first_name": "Ada",
    "business_name": "Analytical Engines",
    "assessment_score": 45,
    "red_systems": 2,
    "orange_systems": 1,
}


def curl(url: str) -> str:
    """The request to try, as in the README: a Christmas sign-up with an assessment, as the website's form sends it.

    Args:
        url: the gateway's.
    """
    body = json.dumps(SAMPLE, separators=(",", ":"))
    return f"curl -X POST {url}/webhook/christmas-signup -H 'Content-Type: application/json' \\\n  -d '{body}'"


def password_place(directory: Path, password: str) -> str:
    """Where to find the console's password.

    Args:
        directory: the stack's.
        password: the one the parts use.
    """
    file = directory / "secrets" / "console-password"
    return (
        f"in {file}"
        if file.is_file() and file.read_text(encoding="utf-8").strip() == password
        else "the one you have set"
    )


def places(where: Place, sandboxed: bool, notices_url: str | None = None) -> dict[str, str]:
    """The addresses by name.

    Args:
        where: the stack's place.
        sandboxed: whether the sandbox replaces Resend.
        notices_url: the page with the owner's alerts, if the sandbox replaces Discord.
    """
    return {
        "The website": f"{where.url}/",
        **({"Sent emails": where.sandbox_url} if sandboxed else {}),
        **({"Alerts": notices_url} if notices_url else {}),
        "The console": f"{where.url}/console",
        "Queues and schedule": f"http://{HOST}:{where.dashboard_port} (user evergreen)",
        "Metrics": f"http://{HOST}:{where.metrics_port}/metrics",
        "Health check": f"{where.url}/health",
    }
