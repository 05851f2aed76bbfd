"""One good request for each webhook, and the proof that it must carry: for tests that go through all of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from werkzeug.test import TestResponse

from local import valkey
from tests.support import calendar_samples
from tests.support.functions_client import ADDRESS, SECRET, Functions, deployed, signed
from tests.support.world import ADA

FORMS = ("signup", "assessment", "christmas-signup", "christmas-assessment")
OPERATOR = ("postcall-maybe", "onboarding-start")
CALENDARS = ("calcom-booking", "calendly-noshow")
WEBHOOKS = (*FORMS, *OPERATOR, *CALENDARS, "resend-events")
PROOFS = {
    "OPERATOR_TOKEN": "operator-5c2e9a7f1b",
    "CALCOM_WEBHOOK_SECRET": "calcom-7e4a1c9d5b",
    "CALENDLY_SIGNING_KEY": "calendly-2b8d6f0a4c",
}
PROOFS |= {"RESEND_WEBHOOK_SECRET": SECRET}
TOKEN = {"Authorization": f"Bearer {PROOFS['OPERATOR_TOKEN']}"}
_BODIES: dict[str, dict[str, Any]] = dict.fromkeys(FORMS, ADA) | {
    "postcall-maybe": {"email": ADDRESS},
    "onboarding-start": {"email": ADDRESS, "package": "Quick start"},
    "calcom-booking": calendar_samples.calcom_created(email=ADDRESS),
    "calendly-noshow": calendar_samples.calendly_no_show(email=ADDRESS),
    "resend-events": {
        "type": "email.complained",
        "created_at": calendar_samples.POSTED,
        "data": {"to": [ADDRESS], "email_id": "id-1"},
    },
}


def good(name: str) -> bytes:
    """A body that the webhook takes; it is about Ada."""
    return json.dumps(_BODIES[name]).encode()


def proof(name: str, body: bytes) -> dict[str, str]:
    """The headers that prove a body to a webhook: its sender's signature, the operator's token, or none for a form."""
    if name == "calcom-booking":
        return calendar_samples.signed_calcom(body, PROOFS["CALCOM_WEBHOOK_SECRET"])
    if name == "calendly-noshow":
        return calendar_samples.signed_calendly(body, PROOFS["CALENDLY_SIGNING_KEY"], int(time.time()))
    if name == "resend-events":
        return {header.replace("webhook-", "svix-"): value for header, value in signed(body).items()}
    return TOKEN if name in OPERATOR else {}


def post(functions: Functions, name: str, body: bytes | dict[str, Any], **options: Any) -> TestResponse:
    """Post a body as its real sender would.

    Args:
        functions: where.
        name: the webhook.
        body: JSON text, or what becomes it.
        options: of the request; `headers` take the place of the proof.
    """
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return functions.post(data, name, **{"headers": proof(name, data)} | options)


@contextmanager
def webhooks(server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch, **settings: str) -> Iterator[Functions]:
    """The functions with every webhook's secret set, until the block ends."""
    with deployed(server, monkeypatch, **PROOFS | settings) as functions:
        yield functions


def kept(functions: Functions) -> dict[str, bytes]:
    """All that the ledger and the queues hold, by key; counters of rates are left out."""
    redis = functions.ledger.redis
    # no async client
    return {key: redis.dump(key) for key in redis.scan_iter() if not key.startswith("eg:limit")}  # type: ignore[misc]
