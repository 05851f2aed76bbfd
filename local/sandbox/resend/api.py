"""Resend's API for sending, as the `resend` SDK uses it: https://resend.com/docs/api-reference/emails/send-email.

A request is counted against the rate limit first, then meets a fault if one is set, then is authenticated, validated
and accepted. Not simulated: domains and their verification (any sender is accepted), templates (their id is stored),
and scheduled sending (`scheduled_at` is stored and the email stays `scheduled`).
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from local.sandbox import injection
from local.sandbox.emails import Email
from local.sandbox.faults import Faults
from local.sandbox.limits import Admission, Limiter
from local.sandbox.mailboxes import as_list
from local.sandbox.refusal import Refusal
from local.sandbox.resend import quota
from local.sandbox.resend.answers import answer, invalid, refuse, refuse_by_fault, refuse_http
from local.sandbox.resend.events import Events
from local.sandbox.resend.idempotency import Keys, fingerprint
from local.sandbox.store import Answer, RefusedEmail, Store
from local.sandbox.validation import check_batch, check_email

MAX_BODY = 64 * 1024 * 1024


def _writes() -> bool:
    return request.method == "POST"


def _aside() -> bool:
    return request.path == "/domains"


class ResendApp:
    """The stand-in. `app` is its WSGI app, to be mounted at `/resend`.

    Args:
        store: accepted emails and responses.
        limiter: the rate limit.
        faults: what goes wrong on purpose.
        events: sends the webhooks.
    """

    def __init__(self, store: Store, limiter: Limiter, faults: Faults, events: Events) -> None:
        self._store = store
        self._limiter = limiter
        self._events = events
        self._keys = Keys(store)
        self.app = app = Flask("local.sandbox.resend", static_folder=None)
        app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
        app.before_request(self._admit)
        app.after_request(_say_rate)
        injection.install(faults, app, "resend", refuse_by_fault, _writes, _aside)
        app.before_request(_authenticate)
        app.teardown_request(self._end_key)
        app.register_error_handler(Refusal, refuse)
        app.register_error_handler(HTTPException, refuse_http)
        app.add_url_rule("/emails", view_func=self.send, methods=["POST"])
        app.add_url_rule("/emails", view_func=self.list_emails, methods=["GET"])
        app.add_url_rule("/emails/batch", view_func=self.send_batch, methods=["POST"])
        app.add_url_rule("/emails/<email_id>", view_func=self.get, methods=["GET"])

    def send(self) -> Response:
        """`POST /emails`: one email."""
        email = _body()
        try:
            check_email(email)
        except Refusal as refusal:
            self._note_refused(email, refusal.message)
            raise
        return self._accept([email], email, lambda ids: {"id": ids[0]})

    def send_batch(self) -> Response:
        """`POST /emails/batch`: up to 100 emails as one request."""
        emails = _body()
        permissive = request.headers.get("x-batch-validation", "strict") == "permissive"
        good, errors = check_batch(emails, permissive)
        for error in errors:
            self._note_refused(emails[error["index"]], error["message"])
        reported = {"errors": errors} if permissive else {}
        return self._accept(good, emails, lambda ids: {"data": [{"id": email_id} for email_id in ids], **reported})

    def get(self, email_id: str) -> Response:
        """`GET /emails/{id}`."""
        return answer(json.dumps(self._found(email_id).as_object(self._store.clock())))

    def list_emails(self) -> Response:
        """`GET /emails`: newest first; `after` an id: older ones, `before` it: newer ones."""
        limit = request.args.get("limit", "20")
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= 100):
            raise invalid("Invalid `limit`. It must be between 1 and 100.")
        older_than, newer_than = self._position("after"), self._position("before")
        if older_than and newer_than:
            raise invalid("Use `after` or `before`, not both.")
        emails = self._store.newest(int(limit) + 1, before=older_than, after=newer_than)
        has_more = len(emails) > int(limit)
        if has_more:
            emails.pop(0 if newer_than else -1)
        now = self._store.clock()
        return answer(
            json.dumps({"object": "list", "has_more": has_more, "data": [email.as_listed(now) for email in emails]})
        )

    def _position(self, parameter: str) -> int | None:
        cursor = request.args.get(parameter)
        return None if cursor is None else self._found(cursor).position

    def _found(self, email_id: str) -> Email:
        try:
            uuid.UUID(email_id)
        except ValueError:
            raise Refusal(422, "invalid_parameter", "The parameter must be a valid UUID.") from None
        email = self._store.email(email_id)
        if not email:
            raise Refusal(404, "not_found", "Email not found")
        return email

    def _admit(self) -> Response | None:
        g.admission = admission = self._limiter.admit(time.monotonic())
        if admission.accepted:
            return None
        message = f"Too many requests. You can only make {admission.limit} requests per second."
        return refuse(Refusal(429, "rate_limit_exceeded", message))

    def _accept(
        self, emails: list[dict[str, Any]], payload: Any, answer_with: Callable[[list[str]], dict[str, Any]]
    ) -> Response:
        """Accept emails once, even if the caller repeats the request, and return the response."""
        endpoint, key = request.path, request.headers.get("Idempotency-Key")
        if key is not None:
            self._keys.begin(endpoint, key)
            g.key = endpoint, key
            if earlier := self._keys.answered(endpoint, key, payload):
                return answer(earlier)
        ids = [str(uuid.uuid4()) for _ in emails]
        text = json.dumps(answer_with(ids))
        remembered = None if key is None else Answer(endpoint, key, fingerprint(payload), text)
        with self._store.lock:
            quota.check(g.get("fault"), emails, self._store)
            accepted = self._store.accept(list(zip(ids, emails, strict=True)), remembered, key)
        self._events.announce(accepted)
        return answer(text)

    def _note_refused(self, email: Any, why: str) -> None:
        """For the outbox's page, where an owner looks for the email."""
        known = email if isinstance(email, dict) else {}
        recipients = ", ".join(map(str, as_list(known.get("to"))))
        self._store.refused.appendleft(
            RefusedEmail(recipients, str(known.get("subject", "")), why, self._store.clock())
        )

    def _end_key(self, _error: BaseException | None) -> None:
        if key := g.pop("key", None):
            self._keys.end(*key)


def _body() -> Any:
    try:
        return json.loads(request.get_data())
    except ValueError:
        raise Refusal(400, "validation_error", "The request body must be JSON.") from None


def _authenticate() -> None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Refusal(401, "missing_api_key", "Missing API key in the authorization header.")
    if not key.startswith("re_") or key.startswith("re_invalid"):
        raise Refusal(403, "invalid_api_key", "API key is invalid.")


def _say_rate(response: Response) -> Response:
    admission: Admission = g.admission
    for name, value in admission.headers.items():
        response.headers.setdefault(name, value)
    return response
