"""The sandbox's own side: faults, outbox, limits and pages, and what survives a restart of the real process."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests
import resend
from resend.http_client_requests import RequestsClient

from local.sandbox.pages.preview import first_words, framed
from tests.support.sandbox_server import EMAIL, KEY, Sandbox, point_sdk_at, refused, sandbox, sandbox_process, send
from tests.support.waiting import SOON, WITHIN, until

LONG = 600_000  # milliseconds for which a connection is held: waiting for their end is not quick


@pytest.fixture(name="box")
def _box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox in memory with a high rate limit, and the SDK pointed at it."""
    with sandbox() as running:
        point_sdk_at(running, monkeypatch)
        yield running


@pytest.mark.parametrize(
    ("status", "name"),
    [(500, "application_error"), (503, "service_unavailable"), (429, "rate_limit_exceeded"), (403, "invalid_api_key")],
)
def test_a_status_fault_refuses_as_many_requests_as_it_says(box: Sandbox, status: int, name: str) -> None:
    """The fault meets `count` requests of any kind, then it is gone."""
    box.fault("status", status=status, count=2)
    error = refused()
    assert (error.code, error.error_type, error.headers.get("retry-after")) == (
        status,
        name,
        "1" if status == 429 else None,
    )
    assert box.resend("GET", "/emails").status_code == status
    assert send() == box.outbox()[0]["id"]
    assert box.get("/faults") == []


@pytest.mark.parametrize(
    ("kind", "fields", "accepted"),
    [
        ("timeout-before", {"delay_ms": 300}, 0),
        ("timeout-after", {"delay_ms": 300}, 1),
        ("disconnect", {}, 0),
        ("disconnect", {"after": True}, 1),
    ],
)
def test_a_connection_fault_closes_the_connection(
    box: Sandbox, kind: str, fields: dict[str, Any], accepted: int
) -> None:
    """The caller gets no answer, whether or not the email went out, and a repeat with the key never sends it again."""
    box.fault(kind, **fields)
    start = time.monotonic()
    error = refused("key")
    assert error.error_type == "HttpClientError"
    assert time.monotonic() - start >= fields.get("delay_ms", 0) / 1000
    assert len(box.outbox()) == accepted
    assert send("key") == box.outbox()[0]["id"]
    assert len(box.outbox()) == 1


def test_a_caller_that_hangs_up_frees_its_key(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A held connection ends with its caller, so that the key can be used again at once."""
    box.fault("timeout-after", delay_ms=LONG)
    patient = resend.default_http_client
    # requests takes fractions
    monkeypatch.setattr(resend, "default_http_client", RequestsClient(timeout=SOON))  # type: ignore[arg-type]
    assert refused("key").error_type == "HttpClientError"
    monkeypatch.setattr(resend, "default_http_client", patient)
    until(lambda: len(box.outbox()) == 1)
    until(
        lambda: box.resend("POST", "/emails", json=EMAIL, headers=KEY | {"Idempotency-Key": "key"}).status_code == 200
    )
    assert len(box.outbox()) == 1


def test_slow_and_commit_then_503_accept_the_email(box: Sandbox) -> None:
    """Both send; one answers late, the other wrongly, and the key then gives the true answer."""
    box.fault("slow", delay_ms=200)
    start = time.monotonic()
    send()
    assert time.monotonic() - start >= 0.2
    box.fault("commit-then-503")
    error = refused("key")
    assert (error.code, error.error_type) == (503, "service_unavailable")
    assert send("key") == box.outbox()[1]["id"]
    assert len(box.outbox()) == 2


def test_a_fault_can_affect_a_share_of_requests_until_it_is_removed(box: Sandbox) -> None:
    """With a rate of one half and no count, some requests fail and some do not."""
    box.fault("status", rate=0.5, count=None)
    assert {box.resend("GET", "/emails").status_code for _ in range(60)} == {200, 500}


def test_a_quota_counts_every_recipient_of_its_period() -> None:
    """The day's quota of two is used up by one email to two people, a new day has its own, and the month sums both."""
    now = [1_800_000_000.0]
    with sandbox(clock=lambda: now[0]) as box:
        box.fault("quota", limit=2, count=None)
        both = EMAIL | {"to": ["a@example.org"], "cc": ["b@example.org"]}
        answers = [box.resend("POST", "/emails", json=email) for email in (both, EMAIL)]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert answers[1].json()["name"] == "daily_quota_exceeded"
        now[0] += int(answers[1].headers["retry-after"])
        assert box.resend("POST", "/emails", json=EMAIL).status_code == 200
        assert box.resend("POST", "/emails/batch", json=[EMAIL] * 2).status_code == 429
        requests.delete(f"{box.url}/faults", timeout=WITHIN)
        box.fault("quota", limit=3, name="monthly_quota_exceeded", retry_after=7)
        monthly = box.resend("POST", "/emails", json=EMAIL)
        assert (monthly.json()["name"], monthly.headers["retry-after"], len(box.outbox())) == (
            "monthly_quota_exceeded",
            "7",
            2,
        )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/faults", {"provider": "resend", "kind": "nonsense"}),
        ("/faults", {"provider": "post-office", "kind": "slow"}),
        ("/faults", {"kind": "status", "status": 200}),
        ("/faults", {"kind": "status", "rate": 1.5}),
        ("/faults", {"kind": "status", "cuont": 3}),
        ("/faults", ["status"]),
        ("/limits", {"resend_per_second": 0}),
        ("/limits", {"resend_per_minute": 10}),
    ],
)
def test_a_wrong_fault_or_limit_is_refused(box: Sandbox, path: str, body: Any) -> None:
    """A misspelled field must not silently do nothing."""
    answer = requests.post(box.url + path, json=body, timeout=WITHIN)
    assert (answer.status_code, list(answer.json())) == (422, ["error"])
    assert box.get("/faults") == []


def test_a_poller_reads_only_what_is_new(box: Sandbox) -> None:
    """The count is cheap to ask for, and `since` leaves out what is known, in the order of acceptance."""
    ids = [send() for _ in range(3)]
    assert box.get("/outbox/count") == {"count": 3}
    assert [entry["id"] for entry in box.outbox()] == ids
    assert [entry["id"] for entry in box.get("/outbox.json?since=2")] == ids[2:]
    assert box.get("/outbox.json?since=3") == []
    received = [entry["received_at"] for entry in box.outbox()]
    assert received == sorted(received)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", received[0])


def test_reset_forgets_everything(box: Sandbox) -> None:
    """After it there is no email, no key and no fault, and the limits are the real ones."""
    first = send("key")
    box.fault("status", count=None)
    box.post("/reset")
    assert (box.outbox(), box.get("/faults"), box.get("/limits")["resend_per_second"]) == ([], [], 2)
    assert send("key", subject="Another") != first


def test_state_survives_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Emails, keys and limits are there again after kill -9 and after a clean stop, which is quick even while a
    connection is held."""
    with sandbox_process(tmp_path) as (box, process):
        point_sdk_at(box, monkeypatch)
        box.post("/limits", {"resend_per_second": 500})
        first = send("key")
    with sandbox_process(tmp_path) as (box, process):
        point_sdk_at(box, monkeypatch)
        assert (send("key"), [entry["id"] for entry in box.outbox()]) == (first, [first])
        assert box.get("/limits")["resend_per_second"] == 500
        box.fault("timeout-after", delay_ms=LONG)
        monkeypatch.setattr(resend, "default_http_client", RequestsClient(timeout=2 * WITHIN))
        held = Thread(target=refused, args=("held",))
        held.start()
        until(lambda: box.get("/outbox/count") == {"count": 2})
        process.terminate()
        assert process.wait(timeout=WITHIN) == 0
        held.join()


def test_gunicorn_closes_connections_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the real process a fault drops the connection, and the next request on a kept-alive client is answered."""
    with sandbox_process(tmp_path) as (box, _):
        point_sdk_at(box, monkeypatch)
        box.post("/limits", {"resend_per_second": 500})
        faults: list[dict[str, Any]] = [
            {"kind": "disconnect"},
            {"kind": "disconnect", "after": True},
            {"kind": "timeout-after", "delay_ms": 100},
        ]
        for accepted, fault in enumerate(faults):
            box.fault(**fault)
            assert refused().error_type == "HttpClientError"
            assert len(box.outbox()) == accepted


def test_the_outbox_page_lists_and_finds_emails(box: Sandbox) -> None:
    """The newest comes first, with sender, preview and what became of it; a search narrows the list; nothing is
    unescaped."""
    assert "No email yet" in page(box, "/")
    send(subject="<b>First</b>", text="Some words to preview")
    send(subject="Second", to="bounced@resend.dev")
    until(lambda: "bounced</span>" in page(box, "/"))
    text = page(box, "/")
    assert text.index("Second") < text.index("&lt;b&gt;First")
    assert "Some words to preview" in text
    assert "<b>First" not in text
    assert "First" not in page(box, "/?q=bounced%40resend") and "Second" in page(box, "/?q=bounced%40resend")
    assert "Nothing matches" in page(box, "/?q=%25")


def test_the_outbox_page_shows_what_was_refused(box: Sandbox) -> None:
    """With the address and the reason, for an email alone and in a batch; not in a search, and not after a reset."""
    refused(to="ada@example.com", subject="Alone")
    batch: Any = [EMAIL, EMAIL | {"to": "ada@example.com", "subject": "Together"}]
    resend.Batch.send(batch, {"batch_validation": "permissive"})
    text = page(box, "/")
    assert text.count("to ada@example.com, ") == 2
    assert "“Alone”" in text and "“Together”" in text and "Invalid `to` field." in text
    assert "“Alone”" not in page(box, "/?q=example")
    box.post("/reset")
    assert "Refused" not in page(box, "/")


def test_a_long_outbox_has_pages(box: Sandbox) -> None:
    """Fifty emails make a page, and the link to older ones leads to the rest."""
    # plain dicts
    resend.Batch.send([EMAIL | {"subject": f"Number {number:02}"} for number in range(60)])  # type: ignore[misc]
    newest = page(box, "/")
    assert "Number 59" in newest and "Number 09" not in newest
    older = re.search(r'href="(/\?before=\d+)">Older', newest)
    assert older
    assert "Number 09" in page(box, older[1]) and "Number 10" not in page(box, older[1])


def test_an_email_is_shown_in_a_harmless_frame(box: Sandbox) -> None:
    """Its HTML is served without scripts or outside images, in an iframe that is sandboxed, too."""
    email_id = send(
        "key-1",
        html="<p>Hi</p><script>alert(1)</script><img src='https://example.org/a.png'>",
        tags=[{"name": "step", "value": "one"}],
    )
    text = page(box, f"/emails/{email_id}")
    frame = re.search(r'<iframe[^>]*sandbox="([^"]*)"[^>]*src="([^"]*)"', text)
    assert frame and "allow-scripts" not in frame[1] and "allow-same-origin" not in frame[1]
    assert "Images from the web are not loaded" in text
    policy = requests.get(box.url + frame[2], timeout=WITHIN).headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src" not in policy and policy.startswith("sandbox")
    assert "<pre" in page(box, f"/emails/{email_id}?part=text")
    assert all(word in page(box, f"/emails/{email_id}?part=headers") for word in ("key-1", "step", "one", "Message-ID"))
    assert requests.get(f"{box.url}/emails/unknown", timeout=WITHIN).status_code == 404


def test_the_preview_forces_the_colors() -> None:
    """Regardless of the system's preference, the queries of the chosen scheme match and the others do not."""
    email = (
        "<html><head><style>@media screen and (prefers-color-scheme: dark) {p {color: "
        "red}}</style></head><p>Hi</p></html>"
    )
    assert "screen and (min-width: 0)" in framed(email, "dark")
    assert "screen and (max-width: 0)" in framed(email, "light")
    assert framed(email, "dark").index("color-scheme: dark") < framed(email, "dark").index("@media")
    assert framed("<!doctype html><p>Hi</p>", "light").startswith("<!doctype html><base")
    assert framed("Hi", "light").endswith("Hi")


def test_the_list_shows_the_first_words_of_an_email() -> None:
    """The text part where there is one, else what a reader would see of the HTML."""
    assert first_words("Dear\n  Jane", "<p>Hi</p>") == "Dear Jane"
    assert (
        first_words(None, "<head><title>No</title></head><style>p{}</style><p>Tom &amp; Jane</p><!-- no --><p>Hi</p>")
        == "Tom & Jane Hi"
    )


def test_the_faults_page_sets_and_clears_faults(box: Sandbox) -> None:
    """Each form does what the JSON would; a wrong number is explained; a form on another site is refused."""

    def submit(**form: str) -> requests.Response:
        return requests.post(
            f"{box.url}/faults-page",
            data=form,
            timeout=WITHIN,
            headers={"Sec-Fetch-Site": form.pop("site", "same-origin")},
        )

    assert "Refuse with a status" in submit(action="set", kind="status", status="503", count="2", percent="50").text
    submit(action="set", kind="disconnect", after="on", count="")
    status, disconnect = box.get("/faults")
    assert (status["kind"], status["status"], status["count"], status["rate"]) == ("status", 503, 2, 0.5)
    assert (disconnect["kind"], disconnect["after"], disconnect["count"]) == ("disconnect", True, None)
    submit(action="remove", id=str(status["id"]))
    assert box.get("/faults") == [disconnect]
    assert submit(action="clear", site="cross-site").status_code == 403
    submit(action="clear")
    submit(action="set", provider="notion", kind="quota", name="daily_quota_exceeded", retry_after="1.5")
    (quota,) = box.get("/faults")
    assert (quota["provider"], quota["name"], quota["retry_after"]) == ("notion", None, 1.5)
    assert (
        "Notion: Exhaust the quota"
        in submit(action="set", provider="notion", kind="status", status="200", body="html").text
    )
    submit(action="clear")
    wrong = submit(action="set", kind="slow", delay_ms="soon")
    assert (wrong.status_code, "is not a number" in wrong.text, box.get("/faults")) == (422, True, [])
    submit(action="limit", resend_per_second="7", notion_per_second="8")
    assert (box.get("/limits")["resend_per_second"], box.get("/limits")["notion_per_second"]) == (7, 8)
    submit(action="reset")
    assert box.get("/limits")["resend_per_second"] == 2


def page(box: Sandbox, path: str) -> str:
    """A page's HTML."""
    answer = requests.get(box.url + path, timeout=WITHIN)
    answer.raise_for_status()
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    return answer.text
