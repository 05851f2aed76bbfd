"""Every answer of Resend, singly and in a batch: the real client over HTTP, the real ledger, and a clock that goes as
fast as it can."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
import resend

from shared.core.errors import SendError
from shared.domain.enrollments import Step
from shared.integrations.provider import Accepted
from shared.integrations.resend import Resend
from shared.ledger import ids
from shared.ledger.alerts import Alerts
from shared.ledger.client import Ledger
from tests.conftest import Clock
from tests.support import patience
from tests.support.raw_server import answer, raw
from tests.support.sandbox_server import Sandbox, sandbox
from tests.support.waiting import WITHIN
from tests.support.world import SETTINGS, World

HOUR = 3_600_000


class Watched:
    """The real client, and how many emails each of its requests held."""

    def __init__(self, client: Resend) -> None:
        self.client = client
        self.sizes: list[int] = []

    def send(self, email: dict[str, Any], *, key: str) -> Accepted:
        """One email."""
        self.sizes.append(1)
        return self.client.send(email, key=key)

    def send_batch(self, emails: list[dict[str, Any]], *, key: str, permissive: bool) -> Accepted:
        """Several."""
        self.sizes.append(len(emails))
        return self.client.send_batch(emails, key=key, permissive=permissive)

    def time(self) -> int | None:
        """The time that it reports."""
        return self.client.time()


class Post:
    """A world whose provider is the sandbox; `people` sign up and their first emails are looked at."""

    def __init__(self, ledger: Ledger, clock: Clock, client: Resend, people: int) -> None:
        self.people = people
        self.world = World(ledger, clock, SETTINGS.model_copy(update={"resend_batch_above": 1}))
        self.watched = Watched(client)
        self.world.sender = dataclasses.replace(self.world.sender, provider=self.watched)
        self.runs = [self.world.sign_up(email=f"p{number}@example.org") for number in range(people)]

    def steps(self) -> list[Step]:
        """Each person's first email."""
        return [self.world.run(run).step(1) for run in self.runs]

    def states(self) -> set[str]:
        """What became of them."""
        return {step.state for step in self.steps()}

    def gate(self) -> int | None:
        """Until when nothing is sent, if so."""
        until = self.world.redis.hget(ids.GATE, "until")
        return int(str(until)) if until else None

    def go_on(self, looks: int = 12) -> None:
        """Let time pass from look to look until no first email is open."""
        while looks and self.states() & {"scheduled", "sending"}:
            nexts = [step.next or 0 for step in self.steps() if step.state in ("scheduled", "sending")]
            self.world.clock.now = max(self.gate() or min(nexts), self.world.clock.now + 1)
            self.world.work()
            looks -= 1


@pytest.fixture
def box(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox by the test's clock; the SDK's globals are put back afterwards."""
    for name in ("api_key", "api_url", "default_http_client"):
        monkeypatch.setattr(resend, name, getattr(resend, name))
    monkeypatch.setenv("NO_PROXY", "*")
    with sandbox(clock=lambda: clock.now / 1000) as running:
        yield running


@pytest.fixture(params=[1, 3], ids=["singly", "in a batch"])
def post(request: pytest.FixtureRequest, ledger: Ledger, clock: Clock, box: Sandbox) -> Post:
    """One person's email, or three in one request."""
    return Post(ledger, clock, patience.resend(box), request.param)


def arrived_once(post: Post, box: Sandbox) -> None:
    """Each person's first email is with the provider, once, and the ledger says so."""
    post.go_on()
    sent = Counter(tag["value"] for email in box.outbox() for tag in email["tags"] if tag["name"] == "email_id")
    assert {f"{run}-1": sent[f"{run}-1"] for run in post.runs} == {f"{run}-1": 1 for run in post.runs}
    assert set(sent.values()) == {1}
    assert post.states() == {"sent"}
    assert post.gate() is None
    assert post.world.redis.keys("eg:frozen:*") == []


def status(status: int, name: str | None = None, **more: Any) -> dict[str, Any]:
    """A refusal."""
    return {"kind": "status", "status": status, "name": name} | more


PERHAPS = [
    status(408),
    status(500),
    status(502),
    status(503),
    status(504),
    status(409, "concurrent_idempotent_requests"),
    status(200, body="html"),
    status(502, body="html"),
    {"kind": "timeout-before"},
    {"kind": "timeout-after"},
    {"kind": "disconnect"},
    {"kind": "disconnect", "after": True},
    {"kind": "commit-then-503"},
]
CLOSED = [status(401), status(403), status(403, "validation_error"), status(404), status(405), status(403, body="html")]
QUOTA = [("daily_quota_exceeded", 16 * HOUR), ("monthly_quota_exceeded", (16 * 24 + 16) * HOUR)]


def named(fault: Any) -> str:
    """A fault as a test's name."""
    return (
        " ".join(str(value) for value in fault.values() if value is not None) if isinstance(fault, dict) else str(fault)
    )


@pytest.mark.parametrize("fault", PERHAPS, ids=named)
def test_a_possibly_accepted_request_is_repeated_unchanged(post: Post, box: Sandbox, fault: dict[str, Any]) -> None:
    """It counts as an attempt, stays `sending`, is repeated after a minute, and arrives once."""
    box.fault(**fault)
    post.world.work()
    assert {(step.state, step.attempts, step.ambiguous) for step in post.steps()} == {("sending", 1, True)}
    assert {step.next for step in post.steps()} == {post.world.clock.now + 60_000}
    arrived_once(post, box)
    assert set(post.watched.sizes) == {post.people}, "a batch is repeated as that batch only"


@pytest.mark.parametrize("fault", CLOSED, ids=named)
def test_a_refused_key_or_domain_stops_all_sending(post: Post, box: Sandbox, fault: dict[str, Any]) -> None:
    """No attempt is counted, one email a minute is tried, the owner gets one alert, and all arrive when one is
    accepted."""
    box.fault(**fault, count=3)
    for _ in range(3):
        post.world.work()
        assert {(step.state, step.attempts, step.posted, step.ambiguous) for step in post.steps()} == {
            ("scheduled", 0, None, False)
        }
        assert post.gate() == post.world.clock.now + 60_000
        post.world.clock.advance(seconds=60)
    assert post.watched.sizes == [post.people, 1, 1]
    alert = Alerts(post.world.ledger).take()
    assert alert and (alert.subject, alert.count) == ("closed", 1) and "Resend answered 40" in alert.detail
    arrived_once(post, box)


@pytest.mark.parametrize(("name", "reset"), QUOTA)
def test_an_exhausted_quota_waits_for_its_reset(post: Post, box: Sandbox, name: str, reset: int) -> None:
    """Nothing is tried before the day's or the month's end; then everything goes."""
    box.fault("quota", name=name)
    post.world.work()
    assert {(step.state, step.attempts) for step in post.steps()} == {("scheduled", 0)}
    assert post.gate() == post.world.clock.now + reset
    post.world.clock.advance(ms=reset - 1)
    assert post.world.work() == [] and len(post.watched.sizes) == 1
    arrived_once(post, box)


@pytest.mark.parametrize("fault", [status(429, retry_after=7), status(429, body="html", retry_after=7)], ids=named)
def test_a_429_waits_as_long_as_resend_asks(post: Post, box: Sandbox, fault: dict[str, Any]) -> None:
    """No attempt is counted, and no request is made before the time that Resend names."""
    box.fault(**fault)
    post.world.work()
    assert {(step.state, step.attempts, step.posted) for step in post.steps()} == {("scheduled", 0, None)}
    post.world.clock.advance(ms=6999)
    assert post.world.work() == [] and len(post.watched.sizes) == 1
    arrived_once(post, box)


@pytest.mark.parametrize("fault", [status(400), status(422), status(413), status(451, "security_error")], ids=named)
def test_a_refused_email_fails_alone(post: Post, box: Sandbox, fault: dict[str, Any]) -> None:
    """By itself it fails at once; a batch is dissolved, and of its members only the one that is refused again fails."""
    box.fault(**fault, count=1 if post.people == 1 else 2)
    post.world.work()
    states = sorted(step.state for step in post.steps())
    assert states == ["failed", "sent", "sent"][: post.people]
    assert post.watched.sizes == [1] if post.people == 1 else [3, 1, 1, 1]
    assert len(box.outbox()) == post.people - 1


def test_a_wrong_address_costs_no_other_email(post: Post, box: Sandbox) -> None:
    """Resend's client and the sandbox over HTTP: one request for all, and each email that it took is known by its own
    id; the enrollment of the wrong address has failed."""
    wrong = post.world.sign_up(email="p@example.com")
    post.world.work()
    assert post.watched.sizes == [post.people + 1]
    assert post.world.run(wrong).state == "failed"
    taken = {entry["to"][0]: entry["id"] for entry in box.outbox()}
    assert taken == {f"p{number}@example.org": step.provider_id for number, step in enumerate(post.steps())}


def test_a_reused_idempotency_key_leaves_the_email_in_doubt(post: Post, box: Sandbox) -> None:
    """No repetition can tell what became of it, so there is none, and the owner gets an alert."""
    box.fault("status", status=409, name="invalid_idempotent_request")
    post.world.work()
    assert post.states() == {"in-doubt"}
    assert len(post.watched.sizes) == 1
    alert = Alerts(post.world.ledger).take()
    assert alert and (alert.subject, alert.count) == ("in-doubt", post.people)


@pytest.mark.parametrize("length", [2, 4])
def test_a_batch_with_the_wrong_number_of_ids_is_in_doubt(
    ledger: Ledger, clock: Clock, box: Sandbox, length: int
) -> None:
    """It is unknown whose ids these are: in doubt, and never repeated."""
    said = answer(json.dumps({"data": [{"id": str(number)} for number in range(length)]}).encode())
    with raw(answer(b'{"data": []}', Date=formatdate(usegmt=True)), said) as server:
        post = Post(ledger, clock, Resend("re_sandbox", server.url, timeout=WITHIN), 3)
        post.world.work()
        post.world.clock.advance(hours=1)
        post.world.work()
    assert post.states() == {"in-doubt"}
    assert server.requests == [b"GET /domains HTTP/1.1", b"POST /emails/batch HTTP/1.1"]


@pytest.mark.parametrize(
    ("then", "state"),
    [
        (status(401), "sent"),
        (status(429, retry_after=7), "sent"),
        (status(429, "daily_quota_exceeded", retry_after=16 * 3600), "sent"),
        (status(429, "monthly_quota_exceeded", retry_after=400 * 3600), "in-doubt"),
        ({"kind": "timeout-before"}, "sent"),
        (status(422), "in-doubt"),
        (status(409, "invalid_idempotent_request"), "in-doubt"),
    ],
    ids=named,
)
def test_a_refused_repetition_never_fails_an_accepted_email(
    post: Post, box: Sandbox, then: dict[str, Any], state: str
) -> None:
    """The first request may have been accepted, and was: the step ends as `sent` or `in-doubt`, regardless of the
    second answer."""
    box.fault("disconnect", after=True)
    box.fault(**then)
    post.world.work()
    post.world.clock.advance(seconds=60)
    post.world.work()
    assert post.states() <= {"sending", "in-doubt"}
    post.go_on()
    assert post.states() == {state}
    assert len(box.outbox()) == post.people


def test_two_hundred_failures_are_one_message(ledger: Ledger, clock: Clock) -> None:
    """A provider that refuses every email raises one notice, which says how many."""
    world = World(ledger, clock)
    world.provider.faults.extend([SendError("refused", "Resend answered 422")] * 200)
    for number in range(200):
        world.sign_up(email=f"p{number}@example.org")
        world.clock.advance(ms=300)
    world.work()
    notices = Alerts(ledger)
    alerts = [notice for notice in iter(notices.take, None) if notice.kind == "alert"]
    assert [(alert.subject, alert.count) for alert in alerts] == [("failed", 200)]
