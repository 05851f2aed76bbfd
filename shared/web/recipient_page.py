"""The page behind a link in an email: a title, a sentence and, if something is asked, one button."""

from __future__ import annotations

from flask import Response, render_template_string

from shared import services
from shared.emails.colors import ink

POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex"><title>{{ title }} · {{ business }}</title>
<style>
body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 32rem; margin: 15vh auto 0; padding: 0 1.25rem }
h1 { font-size: 1.5rem; line-height: 1.25 }
button { font: inherit; font-weight: 600; padding: .6rem 1.2rem; border: 0; border-radius: .4rem; cursor: pointer;
  background: {{ color }}; color: {{ ink }} }
button:focus-visible { outline: 3px solid #7bc4a6; outline-offset: 2px }
</style>
</head>
<body><main><h1>{{ title }}</h1><p>{{ text }}</p>
{% if button %}<form method="post"><button>{{ button }}</button></form>{% endif %}
</main></body></html>"""


def page(status: int, title: str, text: str, *, button: str = "") -> Response:
    """The page; its button posts to the same address.

    Args:
        status: the HTTP status; with 503, the browser may try again in a minute.
        title: what is asked, or has happened.
        text: what that means.
        button: its label; without one, nothing is asked.
    """
    settings = services.current_settings()
    color = settings.brand_color
    known = {"business": settings.business_name, "color": color, "ink": ink(color)}
    html = render_template_string(_PAGE, title=title, text=text, button=button, **known)
    response = Response(html, status, mimetype="text/html")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    if status == 503:
        response.headers["Retry-After"] = "60"
    return response
