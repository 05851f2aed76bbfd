"""Every webhook against thousands of generated requests, good and bad, each with a valid proof: no crash, and nothing
kept by a refusal.

schemathesis makes the requests from the OpenAPI document and holds the answers against it. The calendars' and Resend's
events are described only loosely there, so events in their real shape with junk somewhere inside are posted too.
EVERGREEN_FUZZ_REQUESTS sets how many in all.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.specs.openapi import checks
from structlog.testing import CapturingLogger

from local import valkey
from shared.web import endpoint
from tests.support import calendar_samples
from tests.support.functions_client import SECRET, Functions, signed
from tests.support.webhook_calls import TOKEN, WEBHOOKS, good, kept, proof, webhooks
from tools.openapi import document

REQUESTS = int(os.environ.get("EVERGREEN_FUZZ_REQUESTS", "440"))
Prove = Callable[[bytes], dict[str, str]]
# mypy does not infer a default
VARIANTS: dict[str, tuple[str, Prove]] = {name: (name, lambda body, name=name: proof(name, body)) for name in WEBHOOKS}  # type: ignore[misc]
VARIANTS["calendly-noshow by token"] = ("calendly-noshow", lambda body: TOKEN)
VARIANTS["christmas-signup, signed"] = ("christmas-signup", signed)
VARIANTS["onboarding-start, signed"] = ("onboarding-start", signed)
EVENTS: dict[str, list[dict[str, Any]]] = {
    "calcom-booking": [
        calendar_samples.calcom_created(),
        calendar_samples.calcom_rescheduled("old"),
        calendar_samples.calcom_requested("old"),
        calendar_samples.calcom_cancelled(),
        calendar_samples.calcom_no_show(),
    ],
    "calendly-noshow": [
        calendar_samples.calendly_created(old_uid="old"),
        calendar_samples.calendly_canceled(),
        calendar_samples.calendly_no_show(),
        calendar_samples.calendly_no_show_undone(),
    ],
    "resend-events": [
        json.loads(good("resend-events")) | {"type": f"email.{what}"}
        for what in ("sent", "delivered", "bounced", "complained", "suppressed", "failed")
    ],
}
SHARE = REQUESTS // (2 * len(VARIANTS) + len(EVENTS))
CONFORMANCE = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(document())
many = settings(
    max_examples=max(SHARE, 1),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    derandomize=REQUESTS < 1000,
)


@pytest.fixture
def functions(redis: Redis, valkey_server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """All webhooks with their secrets; afterwards their log must be free of errors."""
    log = CapturingLogger()
    with webhooks(valkey_server, monkeypatch) as ready:
        monkeypatch.setattr(endpoint, "_logger", log)
        yield ready
    assert {call.args[0] for call in log.calls} >= {"answered"}
    assert not [call for call in log.calls if call.method_name in ("error", "exception")]


def posted(functions: Functions, name: str, body: bytes, headers: dict[str, str]) -> Any:
    """Post to an empty database; a refusal must leave it empty."""
    functions.ledger.redis.flushall()
    answer = functions.post(body, name, headers=headers)
    if answer.status_code >= 400:
        assert kept(functions) == {}, "a refused request left something behind"
    return answer


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_generated_requests(functions: Functions, variant: str, mode: GenerationMode) -> None:
    """Requests that fit the document, and ones that do not, get answers that the document describes."""
    name, prove = VARIANTS[variant]
    if prove is signed:
        functions.set(WEBSITE_WEBHOOK_SECRET=SECRET)

    @many
    @given(case=SCHEMA[f"/webhook/{name}"]["POST"].as_strategy(generation_mode=mode))
    def probe(case: Any) -> None:
        body = (
            case.body
            if isinstance(case.body, bytes)
            else b""
            if case.body is NOT_SET
            else json.dumps(case.body).encode()
        )
        answer = posted(functions, name, body, {**(case.headers or {}), **prove(body)})
        case.validate_response(answer, checks=CONFORMANCE)

    probe()


@pytest.mark.parametrize("name", EVENTS)
def test_events_with_junk(functions: Functions, name: str) -> None:
    """An event with any part replaced is accepted, ignored or refused, never a crash."""

    @many
    @given(st.sampled_from(EVENTS[name]), st.data())
    def probe(event: dict[str, Any], data: st.DataObject) -> None:
        changed = copy.deepcopy(event)
        for _ in range(data.draw(st.integers(0, 3))):
            place: Any = changed
            while True:
                key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
                if not (isinstance(place[key], dict | list) and place[key]) or data.draw(st.integers(0, 3)) == 0:
                    break
                place = place[key]
            place[key] = data.draw(calendar_samples.JUNK)
        body = json.dumps(changed).encode()
        answer = posted(functions, name, body, proof(name, body))
        assert answer.status_code in (200, 400, 422), answer.text

    probe()
