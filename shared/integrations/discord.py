"""Discord: posts a message to a channel's webhook, within the limits of its API and with nothing that acts as markup.

Sources: https://discord.com/developers/docs/resources/webhook#execute-webhook,
.../resources/message#embed-object-embed-limits and .../topics/rate-limits. The webhook's address is a secret: anyone
who has it can write to the channel.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from shared.core.errors import AlertError, masked

TITLE, DESCRIPTION, FIELDS, NAME, VALUE, FOOTER, SUM = 256, 4096, 25, 256, 1024, 2048, 6000
_MARKUP = re.compile(r"([\\`*_~|<>\[\]#@]|:(?=//))")
CONNECT_SHARE = 0.3

# At DEBUG urllib3 logs the path of each request, and here the path is the secret.
logging.getLogger("urllib3.connectionpool").addFilter(lambda record: "/webhooks/" not in record.getMessage())


@dataclass(frozen=True)
class Embed:
    """A message. Every text is shown as is: nothing in it becomes a link, a mention or a heading.

    Attributes:
        color: of the bar at its side, as 0xRRGGBB.
        fields: names and their values, shown side by side; empty ones are left out.
    """

    title: str
    description: str
    color: int
    fields: tuple[tuple[str, str], ...] = ()
    footer: str = ""


class Discord:
    """A channel's webhook.

    Args:
        webhook_url: its address, with or without a query such as `thread_id`.
        timeout: seconds for one request, including connecting.
        clock: returns seconds that never go back.
    """

    def __init__(self, webhook_url: str, *, timeout: float = 10, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = webhook_url
        self._timeout = (timeout * CONNECT_SHARE, timeout * (1 - CONNECT_SHARE))
        self._session = requests.Session()
        self._clock = clock
        self._free_at = 0.0

    def post(self, embed: Embed) -> None:
        """Post one message; texts that are too long are shortened. While Discord wants us to wait, nothing is posted.

        Raises:
            AlertError: if it was not posted, or may not have been.
        """
        if (wait := self._free_at - self._clock()) > 0:
            raise AlertError("busy", "Discord asked us to wait", wait)
        body = {"embeds": [_fitted(embed)], "allowed_mentions": {"parse": []}}
        try:
            answer = self._session.post(
                self._url, params={"wait": "true"}, json=body, timeout=self._timeout, allow_redirects=False
            )
        except requests.RequestException as error:
            raise AlertError("busy", f"Discord did not answer ({type(error).__name__})") from None
        said = _json(answer)
        if answer.headers.get("X-RateLimit-Remaining") == "0":
            self._rest(_seconds(answer.headers.get("X-RateLimit-Reset-After")))
        if answer.status_code == 204 or (answer.ok and said.get("id")):
            return
        refusal = _refusal(answer, said)
        self._rest(refusal.retry_after)
        raise refusal

    def _rest(self, seconds: float | None) -> None:
        self._free_at = max(self._free_at, self._clock() + (seconds or 0))


def _refusal(answer: requests.Response, said: dict[str, Any]) -> AlertError:
    """Sort a response by what can be done about it.

    A 404 page from a proxy in between does not count as Discord's response."""
    status = answer.status_code
    reason = f"Discord answered {status}: {masked(str(said.get('message') or 'no reason given'), 200)}"
    if status in (401, 403, 404) and "code" in said:
        return AlertError("gone", reason)
    if status in (401, 403, 404, 408, 429) or status >= 500:
        return AlertError(
            "busy", reason, _seconds(said.get("retry_after")) or _seconds(answer.headers.get("Retry-After"))
        )
    return AlertError("refused", reason)


def _json(answer: requests.Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _seconds(text: Any) -> float | None:
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _fitted(embed: Embed) -> dict[str, Any]:
    """The embed as the API takes it: each text within its own limit, and all of them together within the total
    limit."""
    left = SUM

    def fit(text: str, limit: int) -> str:
        nonlocal left
        fitting = _shortened(text, min(limit, left))
        left -= _length(fitting)
        return fitting

    fitted: dict[str, Any] = {"color": embed.color, "title": fit(_plain(embed.title), TITLE)}
    fitted["footer"] = {"text": fit(embed.footer.strip(), FOOTER)}  # has no markup to escape
    fitted["description"] = fit(_plain(embed.description), DESCRIPTION)
    shown = [(name, value) for name, value in embed.fields if name.strip() and value.strip()][:FIELDS]
    fields = [
        {"name": fit(_plain(name), NAME), "value": fit(_plain(value), VALUE), "inline": True} for name, value in shown
    ]
    fitted["fields"] = [field for field in fields if field["name"] and field["value"]]
    return fitted


def _plain(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text.strip())


def _length(text: str) -> int:
    """The length in UTF-16 units, the strictest way to count."""
    return len(text.encode("utf-16-le", "replace")) // 2


def _shortened(text: str, limit: int) -> str:
    """The text, or its beginning and an ellipsis; no escape and no character is cut in two."""
    if _length(text) <= limit:
        return text
    beginning = text.encode("utf-16-le", "replace")[: 2 * max(limit - 1, 0)].decode("utf-16-le", "ignore")
    return beginning.rstrip("\\ ") + "…" if limit > 0 else ""
