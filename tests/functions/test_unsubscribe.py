"""The unsubscribe link as mail programs use it (RFC 8058), and what is still sent afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from local import valkey
from shared.domain.forms import MeetingEvent
from shared.intake import meetings
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.contacts import Contacts
from shared.sending import unsubscribe_link
from tests.conftest import Clock
from tests.support.functions_client import ADDRESS, DEFAULTS, LINK, Call, Functions, deployed, drive, environment
from tests.support.world import World

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
CONTACT = ids.digest(ADDRESS)


@pytest.fixture
def functions(valkey_server: valkey.Valkey, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """The functions on an empty ledger; neither Resend nor Notion is there."""
    with deployed(valkey_server, monkeypatch) as found:
        yield found


class TestOneClick:
    """What RFC 8058 asks of the address in List-Unsubscribe."""

    @pytest.mark.parametrize(
        "options",
        [
            {"data": ONE_CLICK},
            {"data": ONE_CLICK, "content_type": "multipart/form-data"},
            {"data": b"", "content_type": "application/json"},
            {"data": b"x" * 200_000},
        ],
    )
    def test_a_post_is_enough(self, functions: Functions, options: dict[str, Any]) -> None:
        """For every form of the body: no redirect, no cookie, no further question; done at once."""
        functions.sign_up()
        answer = functions.client("unsubscribe").post(LINK, **options)
        assert (answer.status_code, answer.headers.getlist("Set-Cookie"), answer.headers.get("Location")) == (
            200,
            [],
            None,
        )
        assert "<form" not in answer.text
        run = functions.run()
        assert run and (run.state, run.why) == ("exited", "unsubscribed")

    def test_nothing_else_is_needed(self, functions: Functions) -> None:
        """No cookie, referrer or login is asked for, and a foreign origin is fine: the token is the proof."""
        functions.sign_up()
        headers = {"Origin": "https://mail.example.org", "Cookie": "", "Authorization": "Bearer wrong"}
        assert functions.client("unsubscribe").post(LINK, data=ONE_CLICK, headers=headers).status_code == 200
        run = functions.run()
        assert run and run.state == "exited"

    def test_links_do_not_expire(self, functions: Functions) -> None:
        """The token contains no time: a link from years ago is the same as today's, and works for a person who was
        forgotten."""
        assert unsubscribe_link.link(CONTACT, key=DEFAULTS["UNSUBSCRIBE_KEY"], public_url="") == LINK
        assert functions.client("unsubscribe").post(LINK, data=ONE_CLICK).status_code == 200
        assert [each.contact for each in Contacts(functions.ledger).suppressions()] == [CONTACT]
        functions.sign_up()
        assert functions.run() is None

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_opening_the_link_changes_nothing(self, functions: Functions, redis: Redis, method: str) -> None:
        """Mail scanners open links; no key in Redis changes."""
        functions.sign_up()
        before = {key: redis.dump(key) for key in redis.keys("eg:*")}
        for _ in range(3):
            assert functions.client("unsubscribe").open(LINK, method=method).status_code == 200
        assert {key: redis.dump(key) for key in redis.keys("eg:*")} == before

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
    def test_other_methods(self, functions: Functions, method: str) -> None:
        """They are 405, with what is allowed."""
        answer = functions.client("unsubscribe").open(LINK, method=method)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, POST")


class TestPage:
    """What a person sees."""

    def test_everyone_can_read_it(self, functions: Functions) -> None:
        """A language, a title, one heading, one button with a name; no script, no image, nothing from elsewhere, and no
        address."""
        for page in (functions.client("unsubscribe").get(LINK), functions.client("unsubscribe").post(LINK)):
            assert '<html lang="en">' in page.text and re.search(r"<title>.+</title>", page.text)
            assert page.text.count("<h1>") == 1 and page.text.count("<main>") == 1 and 'name="viewport"' in page.text
            assert not re.search(r"<script|<img|<link|https?:|@example", page.text)
        assert re.findall(r"<button>(.*?)</button>", functions.client("unsubscribe").get(LINK).text) == ["Unsubscribe"]

    def test_redis_unavailable(self, functions: Functions) -> None:
        """The page needs no Redis; pressing the button says that it did not work and keeps the button, and a mail
        program retries."""
        functions.set(REDIS_URL="redis://127.0.0.1:9/0")
        assert functions.client("unsubscribe").get(LINK).status_code == 200
        answer = functions.client("unsubscribe").post(LINK, data=ONE_CLICK)
        assert (answer.status_code, answer.headers["Retry-After"], answer.mimetype) == (503, "60", "text/html")
        assert '<form method="post">' in answer.text

    def test_the_log_names_no_one(self, valkey_server: valkey.Valkey, redis: Redis) -> None:
        """Neither the address nor the token is ever logged."""
        token = LINK.split("=")[1]
        calls = [
            Call("unsubscribe", {"method": method, "query_string": {"token": given}})
            for method in ("GET", "POST")
            for given in (token, "x")
        ]
        answers, lines = drive(calls, environment(valkey_server, LOG_LEVEL="INFO"))
        assert [status for status, _ in answers] == [200, 401, 200, 401]
        assert not [line for line in lines if token in line or ADDRESS in line]


class TestAfterwards:
    """What an unsubscribe stops, and what it does not."""

    def test_marketing_stops_and_reminders_continue(self, ledger: Ledger, clock: Clock) -> None:
        """A reminder of a booked meeting is not marketing."""
        world = World(ledger, clock)
        start = clock.now + 3 * 86_400_000
        event = MeetingEvent(
            "booked",
            "key",
            "uid",
            clock.now,
            starts=start,
            contact={"email": ADDRESS},
            values={"meeting_title": "A call"},
        )
        meetings.report(event, trigger="calcom-booking", intake=world.intake)
        run = world.sign_up()
        ledger.suppress(CONTACT, "unsubscribed")
        world.live(80)
        assert {email.split("-")[0] for email in world.provider.email_ids} == {"booking"} and len(
            world.provider.email_ids
        ) == 2
        assert world.run(run).state == "exited"
