"""`make openapi`: the public webhooks as an OpenAPI 3.1 document, generated from the models that validate requests."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import click

from tools.openapi_operations import FORMS, challenge, operations
from tools.openapi_schemas import schemas

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "openapi.json"
_SCHEMES = {
    "operatorToken": {"type": "http", "scheme": "bearer", "description": "OPERATOR_TOKEN."},
    "serverSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": (
            "Standard Webhooks: `v1,` and the base64 HMAC-SHA256 of `webhook-id.webhook-timestamp.body`, with the "
            "key in WEBSITE_WEBHOOK_SECRET; the headers `webhook-id` and `webhook-timestamp` (Unix seconds, five "
            "minutes) go with it. Forms need it if that secret is set."
        ),
    },
    "calcomSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Cal-Signature-256",
        "description": "Hex HMAC-SHA256 of the body with CALCOM_WEBHOOK_SECRET.",
    },
    "calendlySignature": {
        "type": "apiKey",
        "in": "header",
        "name": "Calendly-Webhook-Signature",
        "description": (
            "`t=<Unix seconds>,v1=<hex HMAC-SHA256 of t, a dot and the body>` with CALENDLY_SIGNING_KEY; good for 3 "
            "minutes."
        ),
    },
    "svixSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "svix-signature",
        "description": (
            "As a Standard Webhooks signature, in the headers `svix-id`, `svix-timestamp` and `svix-signature`, with "
            "RESEND_WEBHOOK_SECRET."
        ),
    },
}


@click.command("openapi")
@click.option("--check", is_flag=True, help="Write nothing; exit status 1 if the file is out of date.")
def write_openapi(check: bool) -> None:
    """Write docs/openapi.json: every public webhook, for other programs to read."""
    text = rendered()
    if not check:
        FILE.write_text(text, encoding="utf-8")
        click.echo(f"wrote {FILE.relative_to(ROOT)}")
    elif not FILE.exists() or FILE.read_text(encoding="utf-8") != text:
        click.echo(f"{FILE.relative_to(ROOT)} is out of date; run: make openapi", err=True)
        sys.exit(1)


def rendered() -> str:
    """The document as stored in its file."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    paths = {
        f"/webhook/{name}": ({"get": challenge(name)} if name in FORMS else {}) | {"post": operation}
        for name, operation in operations().items()
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Evergreen's webhooks",
            "version": project["version"],
            "description": "See docs/webhooks.md.",
        },
        "servers": [{"url": "{public_url}", "variables": {"public_url": {"default": "http://127.0.0.1:8080"}}}],
        "paths": paths,
        "components": {"securitySchemes": _SCHEMES, "schemas": schemas()},
    }


if __name__ == "__main__":
    write_openapi()
