"""The sandbox against what is known of Resend: its OpenAPI file, facts, recorded exchanges, sample events and signature
vectors.

Those files are not part of the project; tests that need them skip unless CONTRACTS_DIR says where they are. The events'
own behavior is tested here too, without them.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import resend
import time_machine
from resend.exceptions import ResendError
from standardwebhooks import Webhook

from local.sandbox import mailboxes, validation
from local.sandbox.resend import payloads
from local.sandbox.resend.events import Events
from local.sandbox.resend.idempotency import TTL_SECONDS
from shared.core.errors import SettingsError
from tests.support.sandbox_server import EMAIL, KEY, Inbox, Sandbox, point_sdk_at, refused, sandbox, send, serving
from tests.support.waiting import WITHIN, until

CONTRACTS = Path(os.environ.get("CONTRACTS_DIR", ""))
needs_contracts = pytest.mark.skipif(
    "CONTRACTS_DIR" not in os.environ, reason="CONTRACTS_DIR does not say where Resend's contracts are"
)
SECRET = "whsec_" + base64.b64encode(b"a secret of the tests, 32 bytes.").decode()
TAGS = [
    {"name": "sequence", "value": "welcome"},
    {"name": "step", "value": "1"},
    {"name": "customer", "value": "cus_01"},
]
SAMPLES = {
    "email_sent": "jane@example.org",
    "email_delivered": "jane@example.org",
    "email_bounced_permanent": "bounced@resend.dev",
    "email_complained": "complained+label@resend.dev",
    "email_suppressed": "suppressed@resend.dev",
}


def contract(name: str) -> Any:
    """One of the contracts' JSON files."""
    return json.loads((CONTRACTS / name).read_text(encoding="utf-8"))


def conforms(answer: Any, schema: str) -> None:
    """Check an answer, as the SDK gave it, against a schema of the OpenAPI file."""
    document = contract("resend-openapi.json")
    plain = {name: value for name, value in answer.items() if name != "http_headers"}
    jsonschema.validate(plain, document | {"$ref": f"#/components/schemas/{schema}"}, jsonschema.Draft202012Validator)
    assert plain.keys() >= document["components"]["schemas"][schema]["properties"].keys()


def verified(headers: dict[str, str], body: bytes, secret: str = SECRET) -> Any:
    """Verify an event as Evergreen does: the Svix headers under their standard names."""
    standard = {name.replace("svix-", "webhook-"): value for name, value in headers.items() if name.startswith("svix-")}
    return Webhook(secret).verify(body, standard)


def shape(value: Any) -> Any:
    """The keys and types of JSON, without the values; of a list, what its members look like."""
    if isinstance(value, dict):
        return {key: shape(member) for key, member in value.items()}
    return [shape(value[0])] if isinstance(value, list) else type(value).__name__


@pytest.fixture(name="box")
def _box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox in memory with a high rate limit, and the SDK pointed at it."""
    with sandbox() as running:
        point_sdk_at(running, monkeypatch)
        yield running


@needs_contracts
def test_answers_conform_to_the_openapi_file(box: Sandbox) -> None:
    """Sending, a batch, reading one and listing give what Resend's own description promises."""
    email_id = send(headers={"X-Campaign": "christmas"}, tags=TAGS, cc="cc@example.org")
    conforms(resend.Emails.send(EMAIL), "SendEmailResponse")  # type: ignore[arg-type]  # a plain dict
    conforms(resend.Batch.send([EMAIL] * 2), "CreateBatchEmailsResponse")  # type: ignore[list-item]  # a plain dict
    conforms(resend.Emails.get(email_id), "Email")
    emails = resend.Emails.list({"limit": 2})
    conforms(emails, "ListEmailsResponse")
    assert resend.Emails.get(email_id).keys() >= contract("resend-facts.json")["email_object"].keys()


@needs_contracts
def test_limits_and_headers_match_the_facts(box: Sandbox) -> None:
    """The limits that the facts name are the sandbox's, and every answer has the rate headers."""
    facts = contract("resend-facts.json")
    assert facts["send"]["to_max"] == mailboxes.MAX_RECIPIENTS
    assert facts["batch"]["max"] == validation.MAX_BATCH
    assert facts["idempotency"]["ttl_h"] * 3600 == TTL_SECONDS
    assert all(domain in facts["blocked_recipients"] for domain in mailboxes.REFUSED_DOMAINS)
    for answer in (
        box.resend("GET", "/emails"),
        box.resend("GET", "/nothing"),
        box.resend("POST", "/emails", headers={}),
    ):
        assert facts["headers_every_response"].keys() <= {name.lower() for name in answer.headers}


@needs_contracts
def test_every_error_is_one_of_the_facts(box: Sandbox) -> None:
    """Each refusal has a status and a name that Resend uses, in Resend's shape."""
    facts = contract("resend-facts.json")
    known = {(int(error[0]), error[1]) for error in facts["errors"] if error[0].isdigit()} | {
        (503, "service_unavailable")
    }
    answers = [
        box.resend("POST", "/emails", headers={}),
        box.resend("POST", "/emails", headers={"Authorization": "Bearer re_invalid"}),
        box.resend("POST", "/emails", data=b"{"),
        box.resend("POST", "/emails", json=EMAIL | {"to": None}),
        box.resend("POST", "/emails", json=EMAIL | {"to": "nobody"}),
        box.resend("POST", "/emails", json=EMAIL | {"attachments": [{}]}),
        box.resend("POST", "/emails", json=EMAIL, headers=KEY | {"Idempotency-Key": ""}),
        box.resend("GET", "/emails/1"),
        box.resend("GET", "/nothing"),
        box.resend("PUT", "/emails"),
    ]
    for status in (401, 403, 404, 405, 409, 422, 429, 500, 503):
        box.fault("status", status=status)
        answers.append(box.resend("GET", "/emails"))
    for name in ("daily_quota_exceeded", "monthly_quota_exceeded"):
        box.fault("quota", name=name)
        answers.append(box.resend("POST", "/emails", json=EMAIL))
    for answer in answers:
        body = answer.json()
        assert shape(body) == shape(facts["error_body"])
        assert body["statusCode"] == answer.status_code
        assert (answer.status_code, body["name"]) in known
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 429)


@needs_contracts
def test_a_missing_field_and_a_permissive_batch_get_resends_messages(box: Sandbox) -> None:
    """The two messages that the facts quote are the sandbox's."""
    facts = contract("resend-facts.json")
    assert refused(to=None).message == facts["error_body"]["message"]
    batch: Any = [EMAIL, EMAIL | {"to": None}]
    answer = resend.Batch.send(batch, {"batch_validation": "permissive"})
    assert answer["errors"] == facts["batch"]["response"]["errors"]


@needs_contracts
def test_answers_look_like_the_recorded_ones() -> None:
    """Content type, rate headers and the body of a 404 are those that Resend was seen to send."""
    recorded = contract("resend-recorded/contacts_segments.json")
    missing = next(
        exchange for exchange in recorded if exchange["status"] == 404 and exchange["headers"]["ratelimit-limit"] == "2"
    )
    with sandbox(rate=None) as box:
        answer = box.resend("GET", "/emails/00000000-0000-0000-0000-000000000000")
    assert answer.status_code == missing["status"]
    assert {name: answer.headers[name] for name in missing["headers"]} == missing["headers"]
    assert shape(answer.json()) == shape(missing["body"])
    assert answer.json()["name"] == missing["body"]["name"]


@needs_contracts
def test_the_signature_vectors_are_what_the_sandbox_signs() -> None:
    """For each of Resend's vectors, signing gives the same headers, and verifying through standardwebhooks accepts
    them."""
    vectors = contract("signature-vectors.json")
    ours = [vector for vector in vectors["vectors"] if vector["file"].startswith("resend/")]
    assert ours
    for vector in ours:
        body = (CONTRACTS / "samples" / vector["file"]).read_bytes()
        headers = {name: value for name, value in vector["headers"].items() if name.startswith("svix-")}
        assert (
            payloads.sign(vector["secret"], headers["svix-id"], int(headers["svix-timestamp"]), body.decode())
            == headers
        )
        with time_machine.travel(vectors["now"]):
            assert verified(headers, body, vector["secret"]) == json.loads(body)


@needs_contracts
@pytest.mark.parametrize(("sample", "recipient"), SAMPLES.items())
def test_events_have_the_shape_of_the_samples(monkeypatch: pytest.MonkeyPatch, sample: str, recipient: str) -> None:
    """A signed event that the sandbox posts has exactly the sample's keys and types, its own time formats included."""
    expected = contract(f"samples/resend/{sample}.json")
    inbox = Inbox()
    with serving(inbox.app()) as url, sandbox(webhook_url=url, webhook_secret=SECRET) as box:
        point_sdk_at(box, monkeypatch)
        send(to=recipient, tags=TAGS)
        event = verified(*inbox.events.get(timeout=WITHIN))
        while event["type"] != expected["type"]:
            event = verified(*inbox.events.get(timeout=WITHIN))
    assert shape(event) == shape(expected)
    assert event["data"]["tags"] == expected["data"]["tags"]
    for ours, theirs in (
        (event["created_at"], expected["created_at"]),
        (event["data"]["created_at"], expected["data"]["created_at"]),
    ):
        assert len(ours) == len(theirs) and datetime.fromisoformat(ours).tzinfo


@pytest.mark.parametrize(
    ("recipient", "types"),
    [
        ("jane@example.org", ["email.sent", "email.delivered"]),
        ("bounced@resend.dev", ["email.sent", "email.bounced"]),
        ("complained@resend.dev", ["email.sent", "email.delivered", "email.complained"]),
        ("suppressed+label@resend.dev", ["email.suppressed"]),
    ],
)
def test_the_recipient_decides_what_is_reported(
    monkeypatch: pytest.MonkeyPatch, recipient: str, types: list[str]
) -> None:
    """Each accepted email is followed by signed events about it, with the tags as an object."""
    inbox = Inbox()
    with serving(inbox.app()) as url, sandbox(webhook_url=url, webhook_secret=SECRET) as box:
        point_sdk_at(box, monkeypatch)
        email_id = send(to=[recipient], tags=TAGS[:1])
        events = [verified(*inbox.events.get(timeout=WITHIN)) for _ in types]
        until(lambda: f"email.{resend.Emails.get(email_id)['last_event']}" == types[-1])
    assert [event["type"] for event in events] == types
    assert {event["data"]["email_id"] for event in events} == {email_id}
    assert events[0]["data"]["tags"] == {"sequence": "welcome"}
    bounces = [event["data"]["bounce"]["type"] for event in events if event["type"] == "email.bounced"]
    assert bounces == ["Permanent"] * types.count("email.bounced")


def test_an_event_is_retried_with_the_same_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that fails gets the event again after a wait, signed again, and sending never waits for it."""
    inbox = Inbox(statuses=[500, 302])
    with serving(inbox.app()) as url, sandbox() as box:
        assert box.state
        events = Events(url, SECRET, retry_seconds=(0.05, 0.1))
        point_sdk_at(box, monkeypatch)
        send(to="suppressed@resend.dev")
        start = time.monotonic()
        events.announce(box.state.store.since(0, 1))
        tries = [inbox.events.get(timeout=WITHIN) for _ in range(3)]
        waited = time.monotonic() - start
        events.close()
    assert len({headers["svix-id"] for headers, _ in tries}) == 1
    assert len({body for _, body in tries}) == 1
    assert waited >= 0.15
    assert [verified(*attempt)["type"] for attempt in tries] == ["email.suppressed"] * 3


def test_a_dead_receiver_delays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emails are accepted as ever while nothing listens at the webhook's URL."""
    with sandbox(webhook_url="http://127.0.0.1:9", webhook_secret=SECRET) as box:
        point_sdk_at(box, monkeypatch)
        assert [send() for _ in range(20)] == [entry["id"] for entry in box.outbox()]


@pytest.mark.parametrize("secret", ["whsec_", "whsec_x"])
def test_an_invalid_secret_is_refused_at_startup(secret: str) -> None:
    """A bad secret must not show up only when the first event is signed."""
    with pytest.raises(SettingsError, match="RESEND_WEBHOOK_SECRET"):
        Events("http://127.0.0.1:9", secret)


def test_no_event_is_posted_without_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL alone is not enough: an event that cannot be verified is useless."""
    inbox = Inbox()
    with serving(inbox.app()) as url, sandbox(webhook_url=url) as box:
        point_sdk_at(box, monkeypatch)
        email_id = send()
        until(lambda: resend.Emails.get(email_id)["last_event"] == "delivered")
    assert inbox.events.empty()


def test_the_sdk_raises_its_own_errors(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad key, a rate limit and a server's failure become the classes that code around the SDK looks for."""
    monkeypatch.setattr(resend, "api_key", "re_invalid")
    assert type(refused()).__name__ == "InvalidApiKeyError"
    monkeypatch.setattr(resend, "api_key", "re_sandbox")
    box.fault("status", status=500)
    assert type(refused()).__name__ == "ApplicationError"
    box.fault("quota")
    assert type(refused()).__name__ == "RateLimitError"
    box.fault("commit-then-503")
    assert type(refused()) is ResendError
