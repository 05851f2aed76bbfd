"""Discord's webhook over HTTP, against the sandbox: what is posted, within which limits, and what each refusal
means."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import requests

from shared.core.errors import AlertError
from shared.integrations.discord import Discord, Embed
from tests.support import patience
from tests.support.sandbox_server import Sandbox, stand_still
from tests.support.waiting import WITHIN

HOOK = "/discord/webhooks/1/secret-token"
EMBED = Embed("Hello", "World", 0xB3261E, (("Name", "Ada"), ("Empty", " ")), "Evergreen")


@pytest.fixture
def discord(box: Sandbox) -> Discord:
    return at(box)


def at(box: Sandbox, **options: Any) -> Discord:
    """A client of the sandbox's webhook."""
    return patience.discord(box, HOOK, **options)


def posted(box: Sandbox) -> list[dict[str, Any]]:
    """Every message."""
    messages: list[dict[str, Any]] = box.get("/discord.json")
    return messages


def refused(discord: Discord, embed: Embed = EMBED) -> AlertError:
    """Post, and give the error that it must raise."""
    with pytest.raises(AlertError) as caught:
        discord.post(embed)
    assert "secret-token" not in str(caught.value) and "127.0.0.1" not in str(caught.value)
    return caught.value


def test_a_message_is_one_embed_that_mentions_no_one(box: Sandbox, discord: Discord) -> None:
    """Title, text, color, fields that say something, footer; and no mention is allowed."""
    discord.post(EMBED)
    (message,) = posted(box)
    (embed,) = message["embeds"]
    assert (embed["title"], embed["description"], embed["color"]) == ("Hello", "World", 0xB3261E)
    assert embed["fields"] == [{"name": "Name", "value": "Ada", "inline": True}]
    assert embed["footer"] == {"text": "Evergreen"}
    assert message["allowed_mentions"] == {"parse": []}


def test_text_is_never_markup(box: Sandbox, discord: Discord) -> None:
    """A name cannot make a link, a mention, a heading or code, in any place."""
    evil = "[click](https://evil.example.org) <@1> @everyone `x` **b** ~~s~~ ||h|| # _u_ \\"
    discord.post(Embed(evil, evil, 0, ((evil, evil),)))
    (embed,) = posted(box)[0]["embeds"]
    for text in (embed["title"], embed["description"], embed["fields"][0]["name"], embed["fields"][0]["value"]):
        assert r"\[click\](https\://evil.example.org) \<\@1\> \@everyone \`x\` \*\*b\*\*" in text
        assert text.endswith(r"\_u\_ \\")


@pytest.mark.parametrize("text", ["x" * 9000, "*" * 9000, "😀" * 9000, "\\" * 9000, "é\ud800" * 5000])
def test_long_text_is_shortened(box: Sandbox, discord: Discord, text: str) -> None:
    """Every limit of the API is kept, also the one of all texts together, and no character or escape is cut in two."""
    discord.post(Embed(text, text, 0, tuple((text, text) for _ in range(30)), text))
    (embed,) = posted(box)[0]["embeds"]
    assert embed["title"].endswith("…")
    assert not embed["title"].removesuffix("…").endswith("\\")


def test_thirty_short_fields_become_twenty_five(box: Sandbox, discord: Discord) -> None:
    """More are not taken."""
    discord.post(Embed("t", "d", 0, tuple((f"n{n}", "v") for n in range(30))))
    assert len(posted(box)[0]["embeds"][0]["fields"]) == 25


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, "gone"), (401, "gone"), (403, "gone"), (400, "refused"), (500, "busy"), (503, "busy"), (429, "busy")],
)
def test_each_refusal_has_its_meaning(box: Sandbox, discord: Discord, status: int, kind: str) -> None:
    """Deleted: never again. Busy: later. Refused: not this message."""
    box.fault("status", provider="discord", status=status)
    assert refused(discord).kind == kind
    assert posted(box) == []


def test_a_proxys_page_is_not_an_answer_from_discord(box: Sandbox, discord: Discord) -> None:
    """A 403 or 404 with an HTML page does not mean that the webhook was deleted; a 200 with one is not a success."""
    for status, kind in ((403, "busy"), (404, "busy"), (200, "refused")):
        box.fault("status", provider="discord", status=status, body="html")
        assert refused(discord).kind == kind


def test_a_deleted_webhook_is_gone(box: Sandbox, discord: Discord) -> None:
    """With Discord's own answer."""
    requests.delete(box.url + HOOK, timeout=WITHIN)
    error = refused(discord)
    assert (error.kind, error.reason) == ("gone", "Discord answered 404: Unknown Webhook")


def test_a_429_is_obeyed(box: Sandbox) -> None:
    """Nothing is sent until its time is over; then it works."""
    now = [100.0]
    discord = at(box, clock=lambda: now[0])
    box.fault("status", provider="discord", status=429, retry_after=65.5)
    assert refused(discord).retry_after == 65.5
    now[0] += 60
    assert refused(discord).retry_after == pytest.approx(5.5)
    now[0] += 6
    discord.post(EMBED)
    assert len(posted(box)) == 1


def test_the_client_waits_when_the_window_is_full(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the fifth message the client waits by itself; Discord has no reason to refuse one."""
    now = stand_still(monkeypatch)
    discord = at(box, clock=lambda: now[0])
    for _ in range(5):
        discord.post(EMBED)
    error = refused(discord)
    assert (error.kind, error.retry_after) == ("busy", 2)
    now[0] += 2
    discord.post(EMBED)
    assert len(posted(box)) == 6


@pytest.mark.parametrize("fault", [{"kind": "disconnect"}, {"kind": "timeout-before"}])
def test_no_answer_means_busy(box: Sandbox, discord: Discord, fault: dict[str, Any]) -> None:
    """Any network failure means another try."""
    box.fault(provider="discord", **fault)
    assert refused(discord).kind == "busy"


def test_connection_refused_means_busy() -> None:
    """A refused connection is, too, and the error does not show the address."""
    assert refused(Discord("http://127.0.0.1:9/webhooks/1/secret-token")).kind == "busy"


def test_the_address_is_never_logged(box: Sandbox, discord: Discord, caplog: pytest.LogCaptureFixture) -> None:
    """Not even at DEBUG, where the HTTP library logs each request of others."""
    with caplog.at_level(logging.DEBUG):
        discord.post(EMBED)
        requests.get(f"{box.url}/faults", timeout=WITHIN)
    assert "/faults" in caplog.text
    assert "secret-token" not in caplog.text
