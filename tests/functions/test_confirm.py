"""The page behind a confirmation email's link: who opens it changes nothing, who presses its button confirms."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis
from werkzeug.test import TestResponse

from local import valkey
from shared import services
from shared.ledger import held, ids
from shared.sending import confirm_link, confirmations, unsubscribe_link
from shared.sending.confirm_link import Asked
from tests.support.functions_client import ADDRESS, BEARER, DEFAULTS, NOWHERE, Functions, deployed
from tests.support.world import ADA

CONTACT = ids.digest(ADDRESS)
KEY = DEFAULTS["UNSUBSCRIBE_KEY"]
BUTTON = "Yes, this is my address"


@pytest.fixture
def functions(valkey_server: valkey.Valkey, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """The functions while every sign-up is held; neither Resend nor Notion is there."""
    with deployed(valkey_server, monkeypatch, SIGNUPS_PER_HOUR="1", PUBLIC_URL="https://mail.example.org") as found:
        assert found.sign_up({"email": "first@example.org"}).status_code == 202
        yield found


@pytest.fixture
def link(functions: Functions) -> str:
    """The link of the email that asks Ada."""
    assert functions.sign_up({"name": "Eve Moneypenny"}).json == {
        "status": "accepted",
        "message": "Thank you. Please open the email we are sending you to confirm your address.",
        "email": ADDRESS,
        "campaign": "christmas",
    }
    (found,) = {each for each in links(email(functions)) if "/confirm" in each}
    return path(found)


def email(functions: Functions) -> dict[str, Any]:
    """The email that asks who is next."""
    asking = functions.ledger.confirmation(lease=60)
    assert asking
    return confirmations.written(asking, ADDRESS, services.current_settings())


def links(found: dict[str, Any]) -> list[str]:
    """Every link of an email, in its HTML, its text and its headers."""
    headers = found["headers"]["List-Unsubscribe"]
    return re.findall(
        r"https://mail\.example\.org/[^\s\"'<>)]+", html.unescape(found["html"]) + " " + found["text"] + " " + headers
    )


def path(url: str) -> str:
    """A link as the function gets it."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def contents(redis: Redis) -> dict[str, Any]:
    """All that the ledger holds, but for what was refused."""
    return {str(key): redis.dump(key) for key in redis.keys("eg:*") if key != "eg:limit:refused"}


def visit(functions: Functions, link: str, method: str = "GET", **options: Any) -> TestResponse:
    """Open a link of an email."""
    return functions.client("unsubscribe").open(link, method=method, **options)


class TestOpening:
    """What programs do that read a person's mail before them."""

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_a_scanner_that_opens_every_link_confirms_no_one(
        self, functions: Functions, redis: Redis, method: str
    ) -> None:
        """Each link in the HTML, the text and the headers, three times; and every form is left alone."""
        functions.sign_up()
        found = links(email(functions))
        assert len(found) >= 4
        before = contents(redis)
        for url in found * 3:
            answer = visit(functions, path(url), method)
            assert answer.status_code == 200, url
            assert answer.headers.get("Location") is None
        assert contents(redis) == before and functions.contact() is None

    def test_the_page_asks(self, functions: Functions, link: str) -> None:
        """It names the business, has one button, no script, nothing from elsewhere and no address."""
        page = visit(functions, link)
        assert (page.status_code, page.mimetype) == (200, "text/html")
        assert re.findall(r"<button>(.*?)</button>", page.text) == [BUTTON] and page.text.count("<h1>") == 1
        assert not re.search(r"<script|<img|<link|https?:|@example|Moneypenny|Ada", page.text)
        assert page.headers["Referrer-Policy"] == "no-referrer" and "noindex" in page.text
        assert "form-action 'self'" in page.headers["Content-Security-Policy"]

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
    def test_other_methods_confirm_nothing(self, functions: Functions, link: str, method: str) -> None:
        """They are 405."""
        assert visit(functions, link, method).status_code == 405
        assert functions.contact() is None


class TestPressing:
    """The button."""

    def test_it_confirms_once_and_twice_is_fine(self, functions: Functions, link: str) -> None:
        """The person is enrolled, and the second press gets the same page and changes nothing."""
        first, second = visit(functions, link, "POST"), visit(functions, link, "POST")
        for answer in (first, second):
            assert answer.status_code == 200 and "your address is confirmed" in answer.text
            assert "<form" not in answer.text and "@" not in re.sub(r"<style>.*?</style>", "", answer.text, flags=re.S)
        run = functions.run()
        assert run and run.state == "active" and functions.run(number=2) is None
        contact = functions.contact()
        assert contact and "confirmed_at" in contact.fields

    def test_the_reminders_link_is_as_good(self, functions: Functions, link: str, redis: Redis) -> None:
        """Both emails lead to the same page, and either confirms."""
        functions.ledger.asked(CONTACT, "sent")
        redis.zadd("eg:ask:later", {CONTACT: 1})
        asking = functions.ledger.confirmation(lease=60)
        assert asking and asking.number == 2
        found = confirmations.written(asking, ADDRESS, services.current_settings())
        assert {path(url) for url in links(found) if "/confirm" in url} == {link}
        assert visit(functions, link, "POST").status_code == 200 and functions.run()

    def test_an_expired_link_is_410(self, functions: Functions, link: str, redis: Redis) -> None:
        """With what to do; the page has no button that could not help."""
        redis.delete(*redis.keys("eg:held:*-christmas-signup"))
        answer = visit(functions, link, "POST")
        assert (answer.status_code, answer.mimetype) == (410, "text/html")
        assert "has expired" in answer.text and "sign up" in answer.text and "<form" not in answer.text

    def test_what_is_wrong_with_a_request_is_no_trouble_of_ours(self, functions: Functions, link: str) -> None:
        """A key that is none is refused, and says so; it is not told to come again in a minute."""
        answer = functions.client("unsubscribe").post(link, headers={"Idempotency-Key": "\xe9"})
        assert (answer.status_code, answer.headers.get("Retry-After")) == (400, None)

    def test_redis_unavailable(self, functions: Functions, link: str) -> None:
        """Opening needs no Redis; pressing says that it did not work, and keeps the button."""
        functions.set(REDIS_URL="redis://127.0.0.1:9/0")
        assert visit(functions, link).status_code == 200
        answer = visit(functions, link, "POST")
        assert (answer.status_code, answer.headers["Retry-After"], answer.mimetype) == (503, "60", "text/html")
        assert f'<form method="post"><button>{BUTTON}</button>' in answer.text


class TestTokens:
    """Which tokens count."""

    def test_forged_and_foreign_ones_are_refused(self, functions: Functions, link: str, redis: Redis) -> None:
        """Another signature, contact, time, purpose or key, parts, and junk: 401, and nothing changes."""
        token = link.split("token=")[1]
        subject, _, signature = token.rpartition(".")
        contact, _, since = subject.rpartition("-")
        strange = [
            "",
            "x",
            ".",
            "-",
            token[:-1],
            token + "0",
            f"{subject}.{signature[::-1]}",
            f"{ids.digest('bob@example.org')}-{since}.{signature}",
            f"{contact}-{int(since) + 1}.{signature}",
            f"{contact}.{signature}",
            unsubscribe_link.link(CONTACT, key=KEY, public_url="").split("=")[1],
            unsubscribe_link.link(subject, key=KEY, public_url="").split("=")[1],
            confirm_link.link(Asked(contact, int(since)), key=KEY + "x", public_url="").split("=")[1],
            "%00",
            "\N{FAMILY}" * 40,
        ]
        before = contents(redis)
        for method in ("GET", "POST"):
            for other in strange:
                answer = functions.client("unsubscribe").open("/confirm", method=method, query_string={"token": other})
                assert (answer.status_code, answer.mimetype) == (401, "text/html"), other
        assert contents(redis) == before
        assert functions.contact() is None

    def test_a_confirmation_link_unsubscribes_no_one(self, functions: Functions, link: str) -> None:
        """And an unsubscribe link confirms no one: each is good for one purpose."""
        assert visit(functions, link.replace("/confirm", "/unsubscribe"), "POST").status_code == 401
        assert functions.contact() is None

    def test_the_key_before_still_counts(self, functions: Functions, link: str) -> None:
        """During a rotation, links that were sent confirm."""
        functions.set(UNSUBSCRIBE_KEY="5d0f9c3e8b2056f1a34d1f7a9c3e8b2056f1a34d", UNSUBSCRIBE_KEY_PREVIOUS=KEY)
        assert visit(functions, link, "POST").status_code == 200 and functions.run()


class TestAsking:
    """send-email, which asks."""

    def test_only_the_internal_token_may_ask(self, functions: Functions, link: str) -> None:
        """As for any email."""
        client = functions.client("send-email")
        assert client.post("/confirmations", json={}).status_code == 401
        assert client.post("/confirmations", json={}, headers=BEARER).status_code == 200

    def test_an_unreachable_provider_costs_no_email(self, functions: Functions, redis: Redis) -> None:
        """The contact is asked again a minute later, under the same key."""
        assert DEFAULTS["RESEND_API_URL"] == NOWHERE
        functions.sign_up()
        answer = functions.client("send-email").post("/confirmations", json={}, headers=BEARER)
        assert answer.json == {"result": "asked", "count": 0}
        assert redis.zscore("eg:ask:later", CONTACT)
        assert held.of_contact(functions.ledger, CONTACT).records

    def test_none_of_what_was_typed_is_in_the_email(self, functions: Functions) -> None:
        """No name, no business, no scores, no consent: only the address, to which it goes."""
        typed = {"name": "Evelina Moneypenny", "business_name": "Universal Exports", "consent_text": "Ever so gladly"}
        functions.sign_up({**ADA, **typed, "first_name": "Evelina", "timezone": "Asia/Tokyo", "consent": True})
        found = email(functions)
        text = " ".join([found["subject"], found["html"], found["text"]])
        assert found["to"] == [ADDRESS] and ADDRESS not in text
        for word in ("Evelina", "Moneypenny", "Universal", "gladly", "Tokyo", "45"):
            assert word not in re.sub(r"<style>.*?</style>|token=\S+|#[0-9a-f]{6}", "", text, flags=re.S)
