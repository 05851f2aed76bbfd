"""The Discord stand-in: webhooks, limits, rate limit and faults as the real API has them, and the page that shows what
was posted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from local.sandbox.discord import validation
from local.sandbox.discord.api import Buckets
from tests.support.sandbox_server import Sandbox, sandbox_process, stand_still
from tests.support.waiting import WITHIN

HOOK = "/discord/webhooks/1/token"
EMBED: dict[str, Any] = {"title": "Hello", "description": "World", "color": 255}


def post(box: Sandbox, body: Any, path: str = f"{HOOK}?wait=true") -> requests.Response:
    """Post a message as a plain HTTP client."""
    return requests.post(box.url + path, json=body, timeout=WITHIN)


def codes(answer: requests.Response) -> set[str]:
    """Every error code in a refusal."""

    def inside(part: Any) -> Iterator[str]:
        for name, value in part.items():
            if name == "_errors":
                yield from (error["code"] for error in value)
            else:
                yield from inside(value)

    return set(inside(answer.json()["errors"]))


def test_a_message_is_posted_and_listed(box: Sandbox) -> None:
    """With `wait` the answer is the message, without it nothing; both are in the export, and on the page."""
    body = {"embeds": [EMBED], "allowed_mentions": {"parse": []}}
    answered = post(box, body)
    assert (answered.status_code, answered.json()["embeds"][0]["title"]) == (200, "Hello")
    assert post(box, {"content": "plain"}, HOOK).status_code == 204
    first, second = box.get("/discord.json")
    assert (first["id"], first["allowed_mentions"], second["content"]) == (
        answered.json()["id"],
        {"parse": []},
        "plain",
    )
    page = requests.get(f"{box.url}/discord-page", timeout=WITHIN).text
    assert "Hello" in page and "plain" in page and "#0000ff" in page


def test_the_page_shows_text_as_discord_would(box: Sandbox) -> None:
    """Escapes are taken back, and nothing becomes HTML."""
    assert "No messages yet" in requests.get(f"{box.url}/discord-page", timeout=WITHIN).text
    post(box, {"embeds": [EMBED | {"title": r"\<b\>Ada\_1"}]})
    assert "&lt;b&gt;Ada_1" in requests.get(f"{box.url}/discord-page", timeout=WITHIN).text


@pytest.mark.parametrize(
    ("embed", "code"),
    [
        ({"title": "x" * 257}, "BASE_TYPE_MAX_LENGTH"),
        ({"description": "x" * 4097}, "BASE_TYPE_MAX_LENGTH"),
        ({"footer": {"text": "x" * 2049}}, "BASE_TYPE_MAX_LENGTH"),
        ({"fields": [{"name": "n", "value": "x" * 1025}]}, "BASE_TYPE_MAX_LENGTH"),
        ({"fields": [{"name": "x" * 257, "value": "v"}]}, "BASE_TYPE_MAX_LENGTH"),
        ({"fields": [{"name": "n", "value": " "}]}, "BASE_TYPE_REQUIRED"),
        ({"fields": [{"name": "n", "value": "v"}] * 26}, "BASE_TYPE_MAX_LENGTH"),
        ({"description": "x" * 4096, "footer": {"text": "x" * 1900}}, "MAX_EMBED_SIZE_EXCEEDED"),
        ({"title": 1}, "STRING_TYPE_CONVERT"),
    ],
)
def test_a_message_beyond_a_limit_is_refused(box: Sandbox, embed: dict[str, Any], code: str) -> None:
    """The refusal names the place; without `wait` it is silent, and nothing is posted either."""
    body = {"embeds": [EMBED | embed]}
    answer = post(box, body)
    assert (answer.status_code, answer.json()["code"], codes(answer)) == (400, 50035, {code})
    assert post(box, body, HOOK).status_code == 204
    assert box.get("/discord.json") == []


def test_an_invalid_message_is_refused(box: Sandbox) -> None:
    """Nothing in it, no JSON, and more than ten embeds."""
    assert post(box, {}).json()["code"] == 50006
    assert requests.post(f"{box.url}{HOOK}", data="{", timeout=WITHIN).json()["code"] == 50109
    assert codes(post(box, {"embeds": [EMBED] * 11})) == {"BASE_TYPE_MAX_LENGTH"}


def test_a_deleted_webhook_is_unknown_until_the_reset(box: Sandbox) -> None:
    """Another webhook keeps working."""
    assert requests.get(box.url + HOOK, timeout=WITHIN).json()["name"] == "Evergreen"
    assert requests.delete(box.url + HOOK, timeout=WITHIN).status_code == 204
    refused = post(box, {"content": "x"})
    assert (refused.status_code, refused.json()) == (404, {"message": "Unknown Webhook", "code": 10015})
    assert post(box, {"content": "x"}, "/discord/webhooks/2/token").status_code == 204
    box.post("/reset")
    assert box.get("/discord.json") == []
    assert post(box, {"content": "x"}).status_code == 200


def test_one_request_too_many_is_refused_with_all_headers(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five go in two seconds; the sixth learns when to come again, in the header and more exactly in the body."""
    stand_still(monkeypatch)
    answers = [post(box, {"content": "x"}) for _ in range(6)]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0"]
    limited, body = answers[5], answers[5].json()
    assert (limited.status_code, body["message"], body["global"]) == (429, "You are being rate limited.", False)
    assert 0 < body["retry_after"] <= float(limited.headers["Retry-After"]) <= 2
    assert limited.headers["X-RateLimit-Scope"] == "user"
    assert len(box.get("/discord.json")) == 5


def test_a_window_begins_with_its_first_request() -> None:
    """After two seconds it is empty; each webhook has its own."""
    buckets = Buckets()
    assert [buckets.admit("1", 10 + n / 10)[0] for n in range(6)] == [4, 3, 2, 1, 0, -1]
    assert buckets.admit("2", 10.6) == (4, 2.0)
    assert buckets.admit("1", 12.0) == (4, 2.0)


def test_faults_apply(box: Sandbox) -> None:
    """A refusal, a rate limit, and a message that was posted although the answer says otherwise."""
    for status in (500, 404, 429):
        box.fault("status", provider="discord", status=status, retry_after=7)
        answer = post(box, {"content": "x"})
        assert answer.status_code == status
    assert (answer.json()["retry_after"], answer.headers["Retry-After"]) == (7.0, "7")
    box.fault("commit-then-503", provider="discord")
    assert post(box, {"content": "kept"}).status_code == 503
    assert [message["content"] for message in box.get("/discord.json")] == ["kept"]
    assert "Discord: Answer slowly" in requests.post(f"{box.url}/faults-page", data=SLOW, timeout=WITHIN).text


SLOW = {"action": "set", "provider": "discord", "kind": "slow"}


def test_messages_survive_the_process(tmp_path: Path) -> None:
    """What was posted and what was deleted are there again after kill -9."""
    with sandbox_process(tmp_path) as (box, _):
        post(box, {"content": "first"})
        requests.delete(box.url + HOOK, timeout=WITHIN)
    with sandbox_process(tmp_path) as (box, _):
        assert [message["content"] for message in box.get("/discord.json")] == ["first"]
        assert post(box, {"content": "x"}).status_code == 404


@pytest.mark.skipif("CONTRACTS_DIR" not in os.environ, reason="CONTRACTS_DIR is not set: nothing to compare with")
def test_the_limits_are_discords() -> None:
    """What is refused here is what the API documents."""
    facts = json.loads((Path(os.environ["CONTRACTS_DIR"]) / "discord-facts.json").read_text())["limits"]
    texts = {".".join(path): limit for path, limit in validation.TEXTS.items()}
    texts |= {f"field.{name}": limit for name, limit in validation.FIELD_TEXTS.items()}
    own = {
        "content": validation.CONTENT,
        "embeds": validation.EMBEDS,
        "fields": validation.FIELDS,
        "sum_all_embeds": validation.SUM,
    }
    assert texts | own == facts
