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

from local.sandbox.discord.messages import Messages
from local.sandbox.faults import Fault, Faults

LIMIT, WINDOW = 5, 2.0  # requests per number of seconds, for each webhook
CONTENT, EMBEDS, SUM = 2000, 10, 6000
_TEXTS = {("title",): 256, ("description",): 4096, ("footer", "text"): 2048, ("author", "name"): 256}
_FIELD_TEXTS = {"name": 256, "value": 1024}
FIELDS = 25
_REASONS = {
    401: (50027, "Invalid Webhook Token"),
    403: (50013, "Missing Permissions"),
    404: (10015, "Unknown Webhook"),
    405: (0, "405: Method Not Allowed"),
    400: (50035, "Invalid Form Body"),
}
Errors = dict[str, Any]


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
        faults.install(app, "discord", _refuse_by_fault, lambda: request.method != "GET")
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


def check(body: dict[str, Any]) -> Errors:
    """What Discord finds wrong with a message, as the `errors` of its response; empty if nothing is.

    Args:
        body: what was posted.
    """
    errors: Errors = {}
    _check_length(errors, "content", body.get("content"), CONTENT)
    embeds = body.get("embeds") or []
    if not isinstance(embeds, list) or len(embeds) > EMBEDS:
        return errors | {"embeds": _wrong("BASE_TYPE_MAX_LENGTH", f"Must be {EMBEDS} or fewer in length.")}
    found = {str(index): wrong for index, embed in enumerate(embeds) if (wrong := _check_embed(embed))}
    if not found and sum(_size(embed) for embed in embeds) > SUM:
        found = _wrong("MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {SUM}")
    return errors | ({"embeds": found} if found else {})


def _check_embed(embed: Any) -> Errors:
    if not isinstance(embed, dict):
        return _wrong("MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
    errors: Errors = {}
    for path, limit in _TEXTS.items():
        part = embed if len(path) == 1 else embed.get(path[0]) or {}
        place = errors if len(path) == 1 else {}
        _check_length(place, path[-1], part.get(path[-1]), limit)
        if place and place is not errors:
            errors[path[0]] = place
    fields = embed.get("fields") or []
    if len(fields) > FIELDS:
        return errors | {"fields": _wrong("BASE_TYPE_MAX_LENGTH", f"Must be {FIELDS} or fewer in length.")}
    wrong = {str(index): found for index, field in enumerate(fields) if (found := _check_field(field))}
    return errors | ({"fields": wrong} if wrong else {})


def _check_field(field: dict[str, Any]) -> Errors:
    errors: Errors = {}
    for name, limit in _FIELD_TEXTS.items():
        if not str(field.get(name) or "").strip():
            errors[name] = _wrong("BASE_TYPE_REQUIRED", "This field is required")
        else:
            _check_length(errors, name, field[name], limit)
    return errors


def _check_length(errors: Errors, name: str, text: Any, limit: int) -> None:
    if text is not None and not isinstance(text, str):
        errors[name] = _wrong("STRING_TYPE_CONVERT", "Could not interpret value as string.")
    elif text and len(text) > limit:
        errors[name] = _wrong("BASE_TYPE_MAX_LENGTH", f"Must be {limit} or fewer in length.")


def _size(embed: dict[str, Any]) -> int:
    texts = [(embed.get(path[0]) or {}).get(path[1]) if len(path) == 2 else embed.get(path[0]) for path in _TEXTS]
    texts += [field.get(name) for field in embed.get("fields") or [] for name in _FIELD_TEXTS]
    return sum(len(text or "") for text in texts)


def _wrong(code: str, message: str) -> Errors:
    return {"_errors": [{"code": code, "message": message}]}


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
