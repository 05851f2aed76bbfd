"""What a person sees first: the addresses of the stack and a request to try."""

from __future__ import annotations

import json
from pathlib import Path

SAMPLE = {
    "email": "ada@example.org",
    "first_name": "Ada",
    "business_name": "Analytical Engines",
    "assessment_score": 45,
    "red_systems": 2,
    "orange_systems": 1,
}


def curl(url: str) -> str:
    """The request to try, which is the README's: a Christmas sign-up with an assessment, as the website's form would send it.

    Args:
        url: of the gateway.
    """
    body = json.dumps(SAMPLE, separators=(",", ":"))
    return f"curl -X POST {url}/webhook/christmas-signup -H 'Content-Type: application/json' \\\n  -d '{body}'"


def password_place(directory: Path, password: str) -> str:
    """Where the console's password can be read.

    Args:
        directory: the stack's.
        password: as the parts have it.
    """
    file = directory / "secrets" / "console-password"
    return f"in {file}" if file.is_file() and file.read_text(encoding="utf-8").strip() == password else "the one you have set"


def places(url: str, sandbox_url: str | None, notices_url: str | None = None) -> dict[str, str]:
    """What is where.

    Args:
        url: of the gateway.
        sandbox_url: of the sandbox, where it stands in for Resend.
        notices_url: of what the owner is told, where the sandbox stands in for Discord.
    """
    return {
        "The website": f"{url}/",
        **({"Every email that was sent": sandbox_url} if sandbox_url else {}),
        **({"What you would be told": notices_url} if notices_url else {}),
        "The console": f"{url}/console",
        "Whether all is well": f"{url}/health",
    }
