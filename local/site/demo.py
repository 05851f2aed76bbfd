"""The demo-only endpoints: what Cal.com and the operator would post, with their proofs, which a browser must never
hold.

They answer at this machine's own address only, and only where the proof is not a real one (`may_prove`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from wsgiref.types import WSGIApplication

import flask
from flask import Blueprint, Request, Response
from werkzeug.test import Client

from local import stack
from local.site import calcom
from shared.core.errors import WebhookError
from shared.core.settings import Settings
from shared.web import endpoint

OPERATORS = ("postcall-maybe", "onboarding-start", "calendly-noshow")
OWN_HOSTS = ("127.0.0.1", "localhost")


def sandboxed(settings: Settings, where: stack.Place) -> bool:
    """Whether the sandbox takes all email; the arguments are those of `may_prove`."""
    return settings.resend_api_url.startswith(where.sandbox_url)


def may_prove(settings: Settings, where: stack.Place, secret: str) -> bool:
    """Whether the demo may use a secret: it is set, and either the sandbox takes all email or the local stack made the
    secret itself.

    Args:
        settings: of the stack.
        where: the stack's place.
        secret: the setting's name, in lower case.
    """
    value = getattr(settings, secret)
    made_here = where.directory / "secrets" / secret.replace("_", "-")
    return bool(value) and (
        sandboxed(settings, where) or (made_here.is_file() and made_here.read_text(encoding="utf-8").strip() == value)
    )


def blueprint(settings: Settings, where: stack.Place, webhooks: WSGIApplication) -> Blueprint:
    """`/demo/calcom` and `/demo/operator/<webhook>`, each only where the demo may use the secret.

    Args:
        settings: of the stack.
        where: the stack's place.
        webhooks: what answers /webhook/<name>.
    """
    demo = Blueprint("demo", __name__, url_prefix="/demo")
    demo.before_request(_refuse_others)
    client = Client(webhooks, use_cookies=False)

    @endpoint.function("demo-calcom")
    def book(request: Request) -> Response:
        wish = endpoint.parse(request, endpoint.body(request), calcom.Request.model_validate)
        uid = _uid(wish, request)
        events = calcom.events(wish, uid, datetime.now(UTC))
        booking = wish.model_dump(mode="json", include={"kind", "starts_at", "name", "email"}) | {"uid": uid}
        more = {"booking": booking, "posted": events if len(events) > 1 else events[0]}
        for event in events:
            data, headers = calcom.signed(event, settings.calcom_webhook_secret)
            answer = _relay(client, "calcom-booking", data, headers, more)
            if answer.status_code >= 300:
                break
        return answer

    @endpoint.function("demo-operator")
    def operate(request: Request) -> Response:
        name = str((request.view_args or {})["name"])
        if name not in OPERATORS:
            raise WebhookError(404, "the operator has no such webhook")
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {settings.operator_token}"}
        return _relay(client, name, endpoint.body(request), headers, {})

    if may_prove(settings, where, "calcom_webhook_secret"):
        demo.add_url_rule("/calcom", "calcom", lambda: book(flask.request), methods=["POST"])
    if may_prove(settings, where, "operator_token"):
        demo.add_url_rule("/operator/<name>", "operator", lambda name: operate(flask.request), methods=["POST"])
    return demo


def _refuse_others() -> None:
    """Neither a page from elsewhere, open in the same browser, nor a visitor through a tunnel may have something
    proved."""
    request = flask.request
    elsewhere = request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")
    if elsewhere or request.host.rsplit(":", 1)[0] not in OWN_HOSTS:
        flask.abort(403)


def _uid(wish: calcom.Request, request: Request) -> str:
    """The booking that an event is about; booking and moving make a new one, as in Cal.com."""
    if wish.uid is None and wish.action != "book":
        raise WebhookError(
            422, "name the booking", details=[{"loc": ["uid"], "msg": "Field required", "type": "missing"}]
        )
    if wish.uid is None or wish.action == "reschedule":
        return calcom.new_uid(wish, endpoint.idempotency_key(request) or datetime.now(UTC).isoformat())
    return wish.uid


def _relay(client: Client, name: str, data: bytes, headers: dict[str, str], more: dict[str, Any]) -> Response:
    """Post to a webhook, and answer what it answers, with more in it where it said yes."""
    answer = client.post(f"/webhook/{name}", data=data, headers=headers)
    try:
        body = json.loads(answer.get_data())
    except ValueError:
        body = {"status": "error", "message": "the webhook did not answer in JSON"}
    retry_after = answer.headers.get("Retry-After", type=int)
    return endpoint.answer(
        answer.status_code, {**body, **(more if answer.status_code < 300 else {})}, retry_after=retry_after
    )
