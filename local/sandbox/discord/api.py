"""Discord's webhooks: https://discord.com/developers/docs/resources/webhook.

Mounted at `/discord`, so that a webhook's address is
`/discord/webhooks/<id>/<token>`; every webhook exists until it is deleted.

A request is counted against its webhook's rate limit first, then meets a fault if one is set, then is validated and
posted.
"""

from __future__ import annotations

import json
import math
import threading
import time
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from local.sandbox import injection
from local.sandbox.discord.messages import Messages
from local.sandbox.discord.validation import check
from local.sandbox.faults import Fault, Faults

LIMIT, WINDOW = 5, 2.0  # requests per number of seconds, for each webhook
_REASONS = {
    401: (50027, "Invalid Webhook Token"),
    403: (50013, "Missing Permissions"),
    404: (10015, "Unknown Webhook"),
    405: (0, "405: Method Not Allowed"),
    400: (50035, "Invalid Form Body"),
}


class Buckets:
    """Each webhook's requests in its window, which starts with the first of them."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def admit(self, webhook: str, now: float) -> tuple[int, float]:
        """Count a request; returns how many more fit (negative: this one does not), and the seconds until the window
        ends.

        Args:
            webhook: its id.
            now: seconds on a clock that never goes back.
        """
        with self._lock:
            began, count = self._windows.get(webhook, (now, 0))
            if now - began >= WINDOW:
                began, count = now, 0
            self._windows[webhook] = began, min(count + 1, LIMIT)
            return LIMIT - count - 1, began + WINDOW - now


class DiscordApp:
    """The stand-in. `app` is its WSGI app.

    Args:
        messages: the channel.
        faults: what goes wrong on purpose.
    """

    def __init__(self, messages: Messages, faults: Faults) -> None:
        self._messages = messages
        self._buckets = Buckets()
        self.app = app = Flask("local.sandbox.discord", static_folder=None)
        app.before_request(self._admit)
        app.after_request(_say_rate)
        injection.install(faults, app, "discord", _refuse_by_fault, lambda: request.method != "GET")
        app.before_request(self._find)
        app.register_error_handler(HTTPException, lambda error: _refuse(error.code or 500))
        webhook = "/webhooks/<int:webhook>/<token>"
        app.add_url_rule(webhook, view_func=self.execute, methods=["POST"])
        app.add_url_rule(webhook, view_func=self.show, methods=["GET"], endpoint="show")
        app.add_url_rule(webhook, view_func=self.delete, methods=["DELETE"], endpoint="delete")

    def execute(self, webhook: int, token: str) -> Response:
        """`POST /webhooks/{id}/{token}`: a message. Without `wait=true` even one that is refused is answered 204."""
        waits = request.args.get("wait", "").lower() in ("true", "1")
        try:
            body = json.loads(request.get_data())
        except ValueError:
            return _answer({"message": "The request body contains invalid JSON.", "code": 50109}, 400)
        if not isinstance(body, dict) or not (body.get("content") or body.get("embeds")):
            return _answer({"message": "Cannot send an empty message", "code": 50006}, 400)
        if errors := check(body):
            return (
                _answer({"message": "Invalid Form Body", "code": 50035, "errors": errors}, 400)
                if waits
                else Response(status=204)
            )
        message = self._messages.post(str(webhook), body)
        return _answer(message.as_object()) if waits else Response(status=204)

    def show(self, webhook: int, token: str) -> Response:
        """`GET /webhooks/{id}/{token}`."""
        return _answer(
            {
                "id": str(webhook),
                "type": 1,
                "name": "Evergreen",
                "token": token,
                "channel_id": str(webhook),
                "guild_id": "1",
            }
        )

    def delete(self, webhook: int, token: str) -> Response:
        """`DELETE /webhooks/{id}/{token}`: as if its owner deleted it."""
        self._messages.delete_webhook(str(webhook))
        return Response(status=204)

    def _admit(self) -> Response | None:
        webhook = str((request.view_args or {}).get("webhook", ""))
        g.remaining, g.reset_after = self._buckets.admit(webhook, time.monotonic())
        return None if g.remaining >= 0 else _limited(g.reset_after)

    def _find(self) -> Response | None:
        webhook = (request.view_args or {}).get("webhook")
        return _refuse(404) if webhook is not None and self._messages.deleted(str(webhook)) else None


def _answer(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(body), status, headers, content_type="application/json")


def _refuse(status: int) -> Response:
    code, message = _REASONS.get(status, (0, f"{status}: A fault that was set in the sandbox."))
    return _answer({"message": message, "code": code}, status)


def _limited(seconds: float) -> Response:
    body = {"message": "You are being rate limited.", "retry_after": round(seconds, 3), "global": False}
    return _answer(body, 429, {"Retry-After": str(math.ceil(seconds)), "X-RateLimit-Scope": "user"})


def _refuse_by_fault(fault: Fault, _saved: Response | None) -> Response:
    status = fault.answer_status
    return _limited(float(fault.headers.get("retry-after", 1))) if status == 429 else _refuse(status)


def _say_rate(response: Response) -> Response:
    response.headers["X-RateLimit-Limit"] = str(LIMIT)
    response.headers["X-RateLimit-Remaining"] = str(max(0, g.remaining))
    response.headers["X-RateLimit-Reset"] = f"{time.time() + g.reset_after:.3f}"
    response.headers["X-RateLimit-Reset-After"] = f"{g.reset_after:.3f}"
    response.headers["X-RateLimit-Bucket"] = "sandbox"
    return response
