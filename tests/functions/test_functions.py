"""The functions as a caller sees them: what each does, on a real Valkey, with the sandbox as the email provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis

from local import valkey
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.health import read_health
from shared.ledger.notion_columns import NotionColumns
from tests.conftest import Clock
from tests.support.functions_client import ADDRESS, BEARER, DEFAULTS, LINK, Functions, deployed
from tests.support.sandbox_server import Sandbox, sandbox
from tests.support.world import World

RUN = f"{ids.enrollment_prefix('christmas', ADDRESS)}-1"


@pytest.fixture
def functions(redis: Redis, valkey_server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """All functions, on an empty database; no provider answers."""
    with deployed(valkey_server, monkeypatch) as ready:
        yield ready


@pytest.fixture
def box(functions: Functions) -> Iterator[Sandbox]:
    """A provider for the functions."""
    with sandbox() as running:
        functions.set(RESEND_API_URL=f"{running.url}/resend")
        yield running


def accepted(email: str = ADDRESS, campaign: str | None = "christmas") -> dict[str, Any]:
    """The body of a 202."""
    return {
        "status": "accepted",
        "message": "Thank you. Your details have arrived.",
        "email": email,
        "campaign": campaign,
    }


class TestChristmasSignup:
    """The form."""

    def test_it_enrolls_in_seven_emails(self, functions: Functions) -> None:
        """A 202 means seven steps on the schedule from now on, the first on the queue already."""
        before = functions.ledger.now()
        answer = functions.sign_up()
        assert (answer.status_code, answer.json) == (202, accepted())
        run = functions.run()
        assert run and before <= run.anchor <= functions.ledger.now()
        assert [step.due - run.anchor for step in run.steps] == [
            hours * 3_600_000 for hours in (0, 24, 72, 120, 168, 216, 264)
        ]
        health = read_health(functions.ledger)
        assert (health.queued, health.scheduled) == (1, 6)

    def test_the_response_does_not_reveal_who_is_known(self, functions: Functions) -> None:
        """New, enrolled, unsubscribed and complained addresses get the same answer."""
        answers = [functions.sign_up().data for _ in range(2)]
        for reason in ("unsubscribed", "complained"):
            functions.ledger.suppress(ids.digest(ADDRESS), reason)
            answers.append(functions.sign_up().data)
        assert len(set(answers)) == 1

    def test_an_address_is_enough(self, functions: Functions) -> None:
        """The smallest body is remembered and enrolls no one; the run that an assessment starts later is the first."""
        answer = functions.post(b'{"email":" Ada@Example.org "}')
        assert (answer.status_code, answer.json) == (202, accepted(campaign=None))
        assert functions.run() is None and functions.contact()
        assert read_health(functions.ledger).queued == 0
        assert functions.sign_up({"email": "ADA@example.org"}).json == accepted()
        assert functions.run(number=1)

    @pytest.mark.parametrize(
        "score", ["assessment_score", "red_systems", "orange_systems", "yellow_systems", "green_systems"]
    )
    def test_a_zero_is_a_score(self, functions: Functions, score: str) -> None:
        """Any one of the five scores enrolls, zero too."""
        assert functions.post(json.dumps({"email": ADDRESS, score: 0}).encode()).json == accepted()
        assert functions.run()

    def test_a_bot_is_thanked_and_ignored(self, functions: Functions) -> None:
        """A form with the hidden field filled in gets 202 and leaves no trace; an empty one counts as absent."""
        answer = functions.sign_up({"fax_number": "555 0100"})
        assert (answer.status_code, (answer.json or {})["status"]) == (202, "accepted")
        assert [key for key in functions.ledger.redis.scan_iter() if not key.startswith("eg:limit")] == []
        assert functions.sign_up({"fax_number": " "}).json == accepted()
        assert functions.run()

    def test_one_idempotency_key_has_one_effect(self, functions: Functions) -> None:
        """The same key has no second effect, even for a different body; another key, or none, is another request."""
        key = {"Idempotency-Key": "form-1"}
        first = functions.sign_up(headers=key)
        again = [
            functions.sign_up(headers=key),
            functions.sign_up({"email": "bob@example.org", "first_name": "Bob"}, headers=key),
        ]
        assert again[0].data == first.data
        assert ADDRESS not in again[1].text, "no answer holds another person's address"
        assert functions.contact("bob@example.org") is None
        assert functions.sign_up({"email": "bob@example.org"}, headers={"Idempotency-Key": "form-2"}).json == accepted(
            "bob@example.org"
        )
        assert functions.contact("bob@example.org")

    def test_an_idempotency_key_is_remembered_for_24_hours(self, functions: Functions) -> None:
        """No longer, and no shorter; a refused request does not use it up."""
        key = {"Idempotency-Key": "form-1"}
        assert functions.sign_up({"email": "?"}, headers=key).status_code == 422
        assert functions.sign_up(headers=key).status_code == 202
        redis = functions.ledger.redis
        (seen,) = redis.scan_iter("eg:seen:*")
        assert 23.99 * 3_600_000 < int(str(redis.pttl(seen))) <= 24 * 3_600_000
        redis.delete(seen)
        assert functions.sign_up({"email": "bob@example.org"}, headers=key).json == accepted("bob@example.org")

    def test_a_first_email_sent_long_ago_is_422(self, functions: Functions) -> None:
        """A report that is older than 30 days names its field, and nothing is kept."""
        answer = functions.sign_up({"email_1_sent_at": "2020-01-01T00:00:00Z"})
        assert (answer.status_code, [fault["loc"] for fault in (answer.json or {})["detail"]]) == (
            422,
            [["email_1_sent_at"]],
        )
        assert functions.contact() is None

    def test_testing_mode_compresses_the_days(self, functions: Functions) -> None:
        """TESTING_MODE takes the campaign's minute a step, and TESTING_STEP another length."""
        for number, (settings, step) in enumerate([({}, 60_000), ({"TESTING_STEP": "5s"}, 5_000)]):
            functions.set(TESTING_MODE="true", **settings)
            functions.sign_up({"email": f"ada{number}@example.org"})
            run = functions.run(f"ada{number}@example.org")
            assert run and [s.due - run.anchor for s in run.steps] == [k * step for k in range(7)]


class TestSendEmail:
    """The internal function that sends one step."""

    @pytest.mark.parametrize("given", ["", "Bearer ", "Bearer wrong", DEFAULTS["INTERNAL_TOKEN"], "bearer ü"])
    def test_only_the_internal_token_is_accepted(self, functions: Functions, given: str) -> None:
        """Anything else is 401, regardless of the body."""
        for body in (b"", b'{"enrollment": "christmas-1", "step": 1}'):
            assert functions.post(body, "send-email", headers={"Authorization": given}).status_code == 401

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"", 400),
            (b"[]", 400),
            (b"{}", 422),
            (b'{"enrollment": "x", "step": 0}', 422),
            (b'{"enrollment": "x", "step": 1e9}', 422),
        ],
    )
    def test_an_invalid_order_is_refused(self, functions: Functions, body: bytes, status: int) -> None:
        """An order names an enrollment and a step."""
        assert functions.post(body, "send-email", headers=BEARER).status_code == status

    def test_it_sends_a_step_once(self, functions: Functions, box: Sandbox) -> None:
        """The email is at the provider with its ids and its unsubscribe link; a second call finds it sent."""
        functions.sign_up(headers={"X-Request-Id": "request-1"})
        results = [functions.send(RUN, 1).json for _ in range(2)]
        assert [result and result["result"] for result in results] == ["sent", "already-sent"]
        (email,) = box.outbox()
        assert (email["to"], email["idempotency_key"]) == ([ADDRESS], f"{RUN}-1")
        tags = {"email_id": f"{RUN}-1", "campaign": "christmas", "request_id": "request-1"}
        assert {tag["name"]: tag["value"] for tag in email["tags"]} == tags
        assert email["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"

    def test_a_missing_step_is_skipped_and_an_early_one_waits(self, functions: Functions, box: Sandbox) -> None:
        """A step that does not exist is skipped, and one that is not due is parked until it is."""
        functions.sign_up()
        run = functions.run()
        assert run
        assert (functions.send("christmas-0", 1).json or {})["result"] == "skipped"
        assert functions.send(RUN, 2).json == {"result": "parked", "until": run.step(2).due, "why": "not-yet"}
        assert box.outbox() == []

    def test_a_refused_email_is_failed(self, functions: Functions, box: Sandbox) -> None:
        """What the provider refuses for good ends there."""
        box.fault("status", status=422)
        functions.sign_up()
        assert (functions.send(RUN, 1).json or {})["result"] == "failed"
        assert box.outbox() == []

    def test_without_a_provider_a_step_waits(self, functions: Functions) -> None:
        """An unreachable provider is not a failure: 200, and another look soon."""
        functions.sign_up()
        before = functions.ledger.now()
        answer = functions.send(RUN, 1)
        assert (answer.status_code, (answer.json or {})["result"]) == (200, "parked")
        assert before + 10_000 <= (answer.json or {})["until"] <= functions.ledger.now() + 10_000

    def test_waiting_for_the_rate_limit_is_429(self, functions: Functions, box: Sandbox) -> None:
        """A step that would wait more than a second for its turn is sent back, with the time to try again."""
        functions.set(RESEND_RATE="0.01", RESEND_BATCH_ABOVE="100")
        functions.sign_up()
        functions.sign_up({"email": "bob@example.org"})
        assert functions.send(RUN, 1).status_code == 200
        answer = functions.send(f"{ids.enrollment_prefix('christmas', 'bob@example.org')}-1", 1)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
        assert len(box.outbox()) == 1


class TestHealth:
    """What the uptime monitor sees."""

    @staticmethod
    def ask(functions: Functions) -> tuple[int, list[str]]:
        """Status and reasons."""
        answer = functions.client("health").get("/")
        body = answer.json or {}
        assert body["status"] == ("healthy" if answer.status_code == 200 else "degraded")
        return answer.status_code, body["reasons"]

    def test_healthy(self, lasting_tick: None, functions: Functions) -> None:
        """With a running scheduler health is OK, and the facts reveal no secret."""
        began = functions.ledger.now()
        functions.sign_up()
        functions.ledger.release()
        assert self.ask(functions) == (200, [])
        answer = functions.client("health").get("/")
        facts = answer.json or {}
        assert (facts["testing_mode"], facts["resend_configured"], facts["scheduled"], facts["queue_depth"]) == (
            False,
            True,
            6,
            1,
        )
        assert 0 <= facts["scheduler_age_ms"] <= functions.ledger.now() - began and facts["workers"] == 0
        assert not [value for value in (*DEFAULTS.values(), ADDRESS) if value != "0" and value in answer.text]
        assert functions.client("health").head("/").status_code == 200

    def test_a_silent_scheduler(self, functions: Functions) -> None:
        """No tick ever, or none for a while."""
        assert self.ask(functions) == (503, ["the scheduler is silent"])
        Ledger(functions.ledger.redis, clock=Clock(functions.ledger.now() - 20_000)).release()
        assert self.ask(functions) == (503, ["the scheduler is silent"])

    def test_an_overdue_email(self, lasting_tick: None, functions: Functions) -> None:
        """Something should have been sent more than a minute ago."""
        two_minutes_ago = Clock(functions.ledger.now() - 120_000)
        World(Ledger(functions.ledger.redis, clock=two_minutes_ago), two_minutes_ago).sign_up()
        functions.ledger.release()
        assert self.ask(functions) == (503, ["an email is overdue"])

    def test_an_email_on_no_list(self, lasting_tick: None, functions: Functions) -> None:
        """Nothing would ever look at it; once it is put back, health is OK."""
        functions.sign_up()
        functions.ledger.release()
        run = functions.run()
        assert run
        functions.ledger.redis.zrem(ids.OPEN, f"{run.id}-4")
        assert self.ask(functions) == (503, ["an email is on no list"])
        assert (functions.client("health").get("/").json or {})["unlisted"] == 1
        functions.ledger.audit_all(repair=True)
        assert self.ask(functions) == (200, [])

    def test_a_column_is_missing_in_notion(self, lasting_tick: None, functions: Functions) -> None:
        """The first sentence is named, as long as it is true; nothing else is held up."""
        functions.ledger.release()
        columns = NotionColumns(functions.ledger)
        columns.judge({"b": "Contacts: Email is missing; add it", "a": "Contacts: Name is missing; add it"})
        assert self.ask(functions) == (503, ["Notion: Contacts: Email is missing; add it"])
        assert functions.sign_up().status_code == 202
        columns.judge({})
        assert self.ask(functions) == (200, [])

    def test_sending_stopped(self, lasting_tick: None, functions: Functions, box: Sandbox) -> None:
        """A refused key closes the gate, and the page says so without the provider's words."""
        box.fault("status", status=401, name="restricted_api_key")
        functions.sign_up()
        functions.send(RUN, 1)
        functions.ledger.release()
        assert self.ask(functions) == (503, ["sending is stopped"])
        assert "restricted" not in functions.client("health").get("/").text


class TestUnsubscribe:
    """The link in every email; no provider answers while these tests run."""

    def test_opening_the_link_changes_nothing(self, functions: Functions) -> None:
        """Mail scanners follow links: GET and HEAD only ask, on a page that cannot be framed or indexed."""
        functions.sign_up()
        page = functions.client("unsubscribe").get(LINK)
        assert (page.status_code, page.mimetype) == (200, "text/html")
        assert '<form method="post">' in page.text and ADDRESS not in page.text
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"] and "noindex" in page.text
        assert functions.client("unsubscribe").head(LINK).status_code == 200
        run = functions.run()
        assert run and run.state == "active"

    @pytest.mark.parametrize("body", [{"List-Unsubscribe": "One-Click"}, {}])
    def test_one_click_is_enough(self, functions: Functions, body: dict[str, str]) -> None:
        """A mail program's POST (RFC 8058) and the page's button end the run; doing it twice is fine."""
        functions.sign_up()
        for _ in range(2):
            assert functions.client("unsubscribe").post(LINK, data=body).status_code == 200
        run = functions.run()
        assert run and (run.state, run.why) == ("exited", "unsubscribed")
        assert (functions.send(RUN, 1).json or {})["result"] == "skipped"

    def test_the_link_in_the_email_works(self, functions: Functions, box: Sandbox) -> None:
        """What the provider got as List-Unsubscribe unsubscribes that very person."""
        functions.sign_up()
        functions.sign_up({"email": "bob@example.org"})
        functions.send(RUN, 1)
        url = urlsplit(box.outbox()[0]["headers"]["List-Unsubscribe"].strip("<>"))
        assert url.path == "/unsubscribe"
        assert functions.client("unsubscribe").post(f"/?{url.query}").status_code == 200
        runs = [functions.run(), functions.run("bob@example.org")]
        assert [run and run.state for run in runs] == ["exited", "active"]

    @pytest.mark.parametrize(
        "token",
        [
            "",
            "x",
            ".",
            f"{ids.digest(ADDRESS)}.",
            f"{ids.digest(ADDRESS)}.{'0' * 32}",
            "%00",
            "%ff.%ff",
            "ü.ü",
            LINK[-32:],
        ],
    )
    def test_a_wrong_token_is_401(self, functions: Functions, token: str) -> None:
        """You cannot unsubscribe another person by guessing; the page says what to do."""
        functions.sign_up()
        client = functions.client("unsubscribe")
        for answer in (
            client.get(f"/?token={token}"),
            client.post(f"/?token={token}"),
            client.post("/", data={"token": token}),
        ):
            assert (answer.status_code, answer.mimetype) == (401, "text/html")
            assert "<form" not in answer.text
        run = functions.run()
        assert run and run.state == "active"

    def test_another_key_rejects_the_link(self, functions: Functions) -> None:
        """A link belongs to the secret that made it."""
        functions.set(UNSUBSCRIBE_KEY=DEFAULTS["UNSUBSCRIBE_KEY"][::-1])
        assert functions.client("unsubscribe").post(LINK).status_code == 401

    def test_a_business_name_is_shown_as_text(self, functions: Functions) -> None:
        """The business name is shown as the owner wrote it."""
        functions.set(BUSINESS_NAME="<b>Northside & Sons</b>")
        assert "&lt;b&gt;Northside &amp; Sons&lt;/b&gt;" in functions.client("unsubscribe").get(LINK).text
