"""The Resend stand-in behaves as Resend does, as seen through the real SDK and plain HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import resend
from hypothesis import given
from hypothesis import strategies as st
from resend.exceptions import ResendError

from local.sandbox.limits import DEFAULTS, Limiter
from tests.support.sandbox_server import EMAIL, KEY, Sandbox, point_sdk_at, refused, sandbox, send, stand_still
from tests.support.waiting import until


@pytest.fixture(name="box")
def _box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox in memory with a high rate limit, and the SDK pointed at it."""
    with sandbox() as running:
        point_sdk_at(running, monkeypatch)
        yield running


def test_an_accepted_email_is_in_the_outbox_as_it_was_sent(box: Sandbox) -> None:
    """Every field of the outbox says what the provider took."""
    tags = [{"name": "email", "value": "christmas-1"}]
    email_id = send("key-1", headers={"X-Campaign": "christmas"}, tags=tags)
    (entry,) = box.outbox()
    assert entry.pop("received_at").endswith("Z")
    ours = {"id": email_id, "headers": {"X-Campaign": "christmas"}, "tags": tags, "idempotency_key": "key-1"}
    assert entry == EMAIL | {"to": ["jane@example.org"]} | ours


def test_an_email_can_be_read_again(box: Sandbox) -> None:
    """GET /emails/{id} gives the email and its last event, which a test address decides."""
    email_id = send(to=["bounced+label@resend.dev"], reply_to="help@example.org")
    until(lambda: resend.Emails.get(email_id)["last_event"] == "bounced")
    email = resend.Emails.get(email_id)
    assert (email["id"], email["to"], email["html"]) == (email_id, ["bounced+label@resend.dev"], "<p>Hi</p>")
    assert (email["text"], email["cc"], email["reply_to"]) == ("Hi", [], ["help@example.org"])


def test_the_list_has_pages_in_both_directions(box: Sandbox) -> None:
    """GET /emails is newest first; `after` goes to older ones, `before` to newer ones, and has_more tells the truth."""
    ids = [send() for _ in range(5)][::-1]

    def page(**params: Any) -> tuple[list[str], bool]:
        answer = resend.Emails.list(params)  # type: ignore[arg-type]  # any keyword is passed on
        return [email["id"] for email in answer["data"]], answer["has_more"]

    assert page() == (ids, False)
    assert page(limit=2) == (ids[:2], True)
    assert page(limit=2, after=ids[1]) == (ids[2:4], True)
    assert page(limit=2, after=ids[2]) == (ids[3:], False)
    assert page(limit=2, before=ids[3]) == (ids[1:3], True)
    assert page(limit=5, before=ids[2]) == (ids[:2], False)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"from": ""}, "missing_required_field"),
        ({"from": "nobody"}, "validation_error"),
        ({"to": []}, "missing_required_field"),
        ({"to": "Jane <jane@example.org"}, "validation_error"),
        ({"to": ["jane@example.org", "jane@localhost"]}, "validation_error"),
        ({"to": [f"p{number}@example.org" for number in range(51)]}, "validation_error"),
        ({"to": "jane@example.com"}, "validation_error"),
        ({"cc": "Jane <jane@TEST.com>"}, "validation_error"),
        ({"reply_to": "nobody"}, "validation_error"),
        ({"subject": ""}, "missing_required_field"),
        ({"subject": "Hello\nBcc: jane@example.org"}, "validation_error"),
        ({"html": None, "text": None}, "missing_required_field"),
        ({"html": 7}, "validation_error"),
        ({"template": {"id": "welcome"}}, "validation_error"),
        ({"html": None, "text": None, "template": {}}, "validation_error"),
        ({"headers": {"X-Number": 7}}, "validation_error"),
        ({"headers": {"X-Split": "a\r\nBcc: jane@example.org"}}, "validation_error"),
        ({"tags": [{"name": "email", "value": "with space"}]}, "validation_error"),
        ({"tags": [{"name": "email", "value": "x" * 257}]}, "validation_error"),
        ({"tags": {"email": "christmas"}}, "validation_error"),
        ({"attachments": [{"filename": "empty.pdf"}]}, "invalid_attachment"),
    ],
)
def test_a_wrong_email_is_refused(box: Sandbox, changes: dict[str, Any], name: str) -> None:
    """What Resend would refuse is refused with 422, and nothing is sent."""
    error = refused(**changes)
    assert (error.code, error.error_type, box.outbox()) == (422, name, [])


def test_what_resend_allows_is_accepted(box: Sandbox) -> None:
    """Fifty recipients, display names, templates and attachments all go through."""
    send(to=[f"p{number}@example.org" for number in range(50)], cc="C. C. <cc@example.org>")
    send(html=None, text=None, subject=None, template={"id": "welcome", "variables": {"NAME": "Jane"}})
    send(attachments=[{"filename": "a.txt", "content": "aGVsbG8="}])
    scheduled = send(scheduled_at="2027-01-01T00:00:00Z")
    assert resend.Emails.get(scheduled)["last_event"] == "scheduled"
    assert len(box.outbox()) == 4


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "name"),
    [
        ("POST", "/emails", {"headers": {}}, 401, "missing_api_key"),
        ("POST", "/emails", {"headers": {"Authorization": "Bearer sk_other"}}, 403, "invalid_api_key"),
        ("POST", "/emails", {"headers": {"Authorization": "Bearer re_invalid_key"}}, 403, "invalid_api_key"),
        ("POST", "/emails", {"data": b"{"}, 400, "validation_error"),
        ("POST", "/emails", {"json": []}, 422, "validation_error"),
        ("POST", "/emails", {"json": EMAIL, "headers": KEY | {"Idempotency-Key": ""}}, 400, "invalid_idempotency_key"),
        (
            "POST",
            "/emails",
            {"json": EMAIL, "headers": KEY | {"Idempotency-Key": "x" * 257}},
            400,
            "invalid_idempotency_key",
        ),
        ("POST", "/emails/batch", {"json": EMAIL}, 422, "validation_error"),
        ("POST", "/emails/batch", {"json": []}, 422, "validation_error"),
        ("POST", "/emails/batch", {"json": [EMAIL] * 101}, 422, "validation_error"),
        ("GET", "/emails/not-a-uuid", {}, 422, "invalid_parameter"),
        ("GET", "/emails/00000000-0000-4000-8000-000000000000", {}, 404, "not_found"),
        ("GET", "/emails?limit=101", {}, 422, "validation_error"),
        ("GET", "/nothing", {}, 404, "not_found"),
        ("DELETE", "/emails", {}, 405, "method_not_allowed"),
    ],
)
def test_a_wrong_request_gets_resends_error(
    box: Sandbox, method: str, path: str, options: dict[str, Any], status: int, name: str
) -> None:
    """Every refusal is JSON of Resend's shape and carries the rate headers."""
    answer = box.resend(method, path, **options)
    assert answer.headers["content-type"].startswith("application/json")
    assert all(f"ratelimit-{part}" in answer.headers for part in ("limit", "policy", "remaining", "reset"))
    assert answer.json().keys() == {"statusCode", "name", "message"}
    assert (answer.status_code, answer.json()["statusCode"], answer.json()["name"]) == (status, status, name)


def test_a_batch_is_all_or_nothing_unless_permissive(box: Sandbox) -> None:
    """Strict refuses the whole batch; permissive takes the good ones and names the others."""
    batch: Any = [
        EMAIL,
        EMAIL | {"to": None},
        EMAIL | {"attachments": [{"content": "aGk="}]},
        EMAIL | {"scheduled_at": "in 1 h"},
        EMAIL,
    ]
    with pytest.raises(ResendError) as caught:
        resend.Batch.send(batch)
    assert (caught.value.error_type, box.outbox()) == ("missing_required_field", [])
    answer = resend.Batch.send(batch, {"batch_validation": "permissive"})
    assert [entry["id"] for entry in answer["data"]] == [entry["id"] for entry in box.outbox()]
    assert [(error["index"], bool(error["message"])) for error in answer["errors"]] == [(1, True), (2, True), (3, True)]
    assert "errors" not in resend.Batch.send([EMAIL] * 100)  # type: ignore[list-item]  # a plain dict
    assert len({entry["id"] for entry in box.outbox()}) == 102


@given(gaps=st.lists(st.integers(0, 700), max_size=60), limit=st.integers(1, 5))
def test_no_window_of_a_second_holds_more_than_the_limit(gaps: list[int], limit: int) -> None:
    """However requests arrive, N+1 accepted ones span at least a second, and a refused one may come back after
    `reset`."""
    limiter, now, accepted = Limiter(limit), 0.0, list[float]()
    for gap in gaps:
        now += gap / 1024  # exact in binary, so that no rounding blurs the edge of the window
        admission = limiter.admit(now)
        if admission.accepted:
            accepted.append(now)
        else:
            assert len([instant for instant in accepted if now - instant < 1]) == limit
            assert len([instant for instant in accepted if now + admission.reset - instant < 1]) < limit
    assert all(later - earlier >= 1 for earlier, later in zip(accepted, accepted[limit:], strict=False))


def test_the_rate_limit_is_resends_and_can_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests a second, refused ones with retry-after, a batch counts as one, wrong requests count too."""
    stand_still(monkeypatch)
    with sandbox(rate=None) as box:
        batch = box.resend("POST", "/emails/batch", json=[EMAIL] * 3)
        nothing = box.resend("GET", "/nothing")
        refused_one = box.resend("GET", "/emails")
        assert [answer.status_code for answer in (batch, nothing, refused_one)] == [200, 404, 429]
        assert [answer.headers["ratelimit-remaining"] for answer in (batch, nothing, refused_one)] == ["1", "0", "0"]
        assert [answer.headers.get("retry-after") for answer in (batch, nothing, refused_one)] == [None, None, "1"]
        assert (batch.headers["ratelimit-policy"], refused_one.json()["name"]) == ("2;w=1", "rate_limit_exceeded")
        assert box.post("/limits", {"resend_per_second": 50}) == DEFAULTS | {"resend_per_second": 50}
        assert {box.resend("GET", "/emails").status_code for _ in range(20)} == {200}


def test_a_repeated_key_sends_once(box: Sandbox) -> None:
    """The same key and payload give the same answer; another payload, or the batch endpoint, is another matter."""
    assert send("key") == send("key")
    conflict = refused("key", subject="Another")
    assert (conflict.code, conflict.error_type, len(box.outbox())) == (409, "invalid_idempotent_request", 1)
    # plain dicts
    batches = [resend.Batch.send([EMAIL, EMAIL], {"idempotency_key": "key"})["data"] for _ in range(2)]  # type: ignore[list-item]
    assert batches[0] == batches[1]
    assert len(box.outbox()) == 3


def test_a_key_is_forgotten_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 24 hours a repeat sends nothing; after them it is a new email."""
    now = [1_800_000_000.0]
    with sandbox(clock=lambda: now[0]) as box:
        point_sdk_at(box, monkeypatch)
        first = send("key")
        now[0] += 24 * 3600 - 1
        assert send("key") == first
        now[0] += 2
        assert send("key") != first


def test_a_refused_request_leaves_its_key_free(box: Sandbox) -> None:
    """A key belongs to the first request that is accepted, regardless of refusals before it."""
    refused("key", to="nobody")
    box.fault("status", status=500)
    refused("key")
    box.fault("quota")
    assert refused("key").error_type == "daily_quota_exceeded"
    assert send("key", subject="Another") == box.outbox()[0]["id"]


def test_a_key_in_progress_is_refused(box: Sandbox) -> None:
    """While the first request is unanswered, its key is busy; then it gives the first one's answer."""
    box.fault("slow", delay_ms=60_000)
    first = threading.Thread(target=send, args=("key",))
    first.start()
    until(lambda: len(box.outbox()) == 1)
    busy = refused("key")
    assert box.state
    box.state.faults.stopping.set()  # ends the wait of the first
    first.join()
    assert (busy.code, busy.error_type) == (409, "concurrent_idempotent_requests")
    assert send("key") == box.outbox()[0]["id"]
