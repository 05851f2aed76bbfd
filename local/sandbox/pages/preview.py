"""An email's HTML made ready to be shown in a frame: harmless, and light or dark as asked for.

A page cannot tell a frame which `prefers-color-scheme` to believe in: Chromium takes it from the system, and forcing
`color-scheme` on the frame changes default colors only. So the served copy is rewritten: each `(prefers-color-scheme:
…)` in its media queries becomes
`(min-width: 0)`, which is always true, where it names the wanted scheme, and `(max-width: 0)`, which never is, where it
names the other. The email's own dark styles then apply exactly as in a mail client that is set to dark. The stored
email is not touched.
"""

from __future__ import annotations

import html
import re
from typing import Literal

Scheme = Literal["light", "dark"]
# Nothing is loaded and no script runs; a link opens in a tab of its own, outside the sandbox, as in a mail client.
FRAME_SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
FRAME_POLICY = (
    f"sandbox {FRAME_SANDBOX}; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)

_SCHEME_QUERY = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(light|dark)\s*\)", re.IGNORECASE)
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)
_DOCTYPE = re.compile(r"\s*<!doctype[^>]*>", re.IGNORECASE)
_REMOTE_IMAGE = re.compile(r"""<img\b[^>]*\bsrc\s*=\s*["']?https?:""", re.IGNORECASE)
_UNSEEN = re.compile(r"<(head|style|script|title)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_MARKUP = re.compile(r"<[^>]*>")


def framed(email_html: str, scheme: Scheme) -> str:
    """The copy to serve into the frame.

    Args:
        email_html: the email as it was sent.
        scheme: which colors the reader's mail client is set to.
    """
    ours = f'<base target="_blank"><style>:root {{ color-scheme: {scheme} !important }}</style>'
    copy = _SCHEME_QUERY.sub(
        lambda query: "(min-width: 0)" if query[1].lower() == scheme else "(max-width: 0)", email_html
    )
    place = _HEAD.search(copy) or _DOCTYPE.match(copy)
    at = place.end() if place else 0
    return copy[:at] + ours + copy[at:]


def has_remote_images(email_html: str) -> bool:
    """Whether the email shows images that the preview does not load."""
    return bool(_REMOTE_IMAGE.search(email_html))


def first_words(text: str | None, email_html: str | None, length: int = 160) -> str:
    """What a mail client's list shows of an email's content.

    Args:
        text: the plain text part.
        email_html: the HTML part, used where there is no text.
        length: the most characters to return.
    """
    words = text or html.unescape(_MARKUP.sub(" ", _UNSEEN.sub(" ", email_html or "")))
    return " ".join(words[: length * 20].split())[:length]
