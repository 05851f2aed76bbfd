"""What a person sees first: the addresses of the stack and a request to try."""

from __future__ import annotations

import json
from html import escape

SAMPLE = {
    "email": "ada@example.org",
    "first_name": "Ada",
    "business_name": "Analytical Engines",
    "assessment_score": 45,
    "red_systems": 2,
    "orange_systems": 1,
}

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Evergreen</title>
<style>
  :root {{ color-scheme: light dark; font: 16px/1.6 system-ui, sans-serif }}
  body {{ max-width: 44rem; margin: 3rem auto; padding: 0 1rem }}
  h1 {{ color: light-dark(#1f6f54, #6fcfa9) }}
  a {{ color: inherit }}
  dt {{ font-weight: 600; margin-top: .6rem }}
  dd {{ margin: 0 }}
  pre {{ padding: 1rem; white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid; border-radius: .5rem }}
</style>
<h1>Evergreen runs</h1>
<p>Sign somebody up, and the first of seven emails is on its way:</p>
<pre><code>{curl}</code></pre>
<dl>{places}</dl>
</html>
"""


def curl(url: str) -> str:
    """The request to try, which is the README's: a Christmas sign-up with an assessment, as the website's form would send it.

    Args:
        url: of the gateway.
    """
    body = json.dumps(SAMPLE, separators=(",", ":"))
    return f"curl -X POST {url}/webhook/christmas-signup -H 'Content-Type: application/json' \\\n  -d '{body}'"


def places(url: str, sandbox_url: str | None, notices_url: str | None = None) -> dict[str, str]:
    """What is where.

    Args:
        url: of the gateway.
        sandbox_url: of the sandbox, where it stands in for Resend.
        notices_url: of what the owner is told, where the sandbox stands in for Discord.
    """
    return {
        **({"Every email that was sent": sandbox_url} if sandbox_url else {}),
        **({"What you would be told": notices_url} if notices_url else {}),
        "Whether all is well": f"{url}/health",
    }


def page(url: str, sandbox_url: str | None) -> str:
    """The page at `/` of the gateway; the arguments are those of `places`."""
    items = "".join(
        f'<dt>{name}</dt><dd><a href="{escape(link)}">{escape(link)}</a></dd>' for name, link in places(url, sandbox_url).items()
    )
    return _PAGE.format(curl=escape(curl(url)), places=items)
