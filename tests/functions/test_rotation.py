"""Replacing a secret: while NAME_PREVIOUS is set, both values are accepted, and only the new one is used."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from local import valkey
from scheduler import jobs
from shared.core.settings import PAIRS
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.sending import signed_tokens, unsubscribe_link
from tests.conftest import Clock
from tests.support import calendar_samples
from tests.support.functions_client import ADDRESS, DEFAULTS, SECRET, Functions, signed
from tests.support.send_function import calling, serving
from tests.support.webhook_calls import PROOFS, good, webhooks
from tests.support.world import SETTINGS, World

OLD = DEFAULTS | PROOFS | {"WEBSITE_WEBHOOK_SECRET": SECRET}


def another(name: str) -> str:
    """A new value for a secret."""
    if OLD[name].startswith("whsec_"):
        return "whsec_" + base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()
    return f"7d2e9b40-{OLD[name]}"


def asked(functions: Functions, name: str, secret: str) -> int:
    """The status of a request that is proved with this value of a secret."""
    bearer = {"Authorization": f"Bearer {secret}"}
    if name == "UNSUBSCRIBE_KEY":
        link = unsubscribe_link.link(ids.digest(ADDRESS), key=secret, public_url="")
        return functions.client("unsubscribe").get(link).status_code
    if name == "INTERNAL_TOKEN":
        return functions.send("christmas-nobody-1", 1, headers=bearer).status_code
    function = {
        "OPERATOR_TOKEN": "postcall-maybe",
        "WEBSITE_WEBHOOK_SECRET": "signup",
        "RESEND_WEBHOOK_SECRET": "resend-events",
        "CALCOM_WEBHOOK_SECRET": "calcom-booking",
        "CALENDLY_SIGNING_KEY": "calendly-noshow",
    }[name]
    body = good(function)
    headers: dict[str, Any] = {
        "postcall-maybe": lambda: bearer,
        "signup": lambda: signed(body, secret=secret),
        "resend-events": lambda: {
            header.replace("webhook-", "svix-"): value for header, value in signed(body, secret=secret).items()
        },
        "calcom-booking": lambda: calendar_samples.signed_calcom(body, secret),
        "calendly-noshow": lambda: calendar_samples.signed_calendly(body, secret, int(time.time())),
    }[function]()
    return functions.post(body, function, headers=headers).status_code


@pytest.fixture
def functions(valkey_server: valkey.Valkey, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """Every function, with an empty database."""
    with webhooks(valkey_server, monkeypatch) as ready:
        yield ready


@pytest.mark.parametrize("name", [name.upper() for name in PAIRS])
def test_both_values_are_accepted_until_the_previous_one_is_removed(functions: Functions, name: str) -> None:
    """Nothing breaks in either step, and a third value never proves anything."""
    old, new = OLD[name], another(name)
    functions.set(**{name: new, f"{name}_PREVIOUS": old})
    assert {asked(functions, name, old), asked(functions, name, new)} <= {200, 202}
    third = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert asked(functions, name, third) == 401
    functions.set(**{f"{name}_PREVIOUS": ""})
    assert (asked(functions, name, old), asked(functions, name, new) in (200, 202)) == (401, True)


def test_a_worker_shows_the_new_token(
    valkey_server: valkey.Valkey, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The previous one is only accepted."""
    monkeypatch.setenv("INTERNAL_TOKEN_PREVIOUS", another("INTERNAL_TOKEN"))
    with serving() as function, calling(function, valkey_server, monkeypatch) as world:
        run = world.sign_up()
        jobs.send_step(run, 1)
    assert [asked[1] for asked in function.asked] == [f"Bearer {OLD['INTERNAL_TOKEN']}"]


def test_an_email_carries_a_link_of_the_new_key(ledger: Ledger, clock: Clock) -> None:
    """Links of the previous one are only accepted."""
    new = another("UNSUBSCRIBE_KEY")
    changed = {"unsubscribe_key": new, "unsubscribe_key_previous": OLD["UNSUBSCRIBE_KEY"]}
    world = World(ledger, clock, SETTINGS.model_copy(update=changed))
    world.sign_up()
    world.work()
    link = unsubscribe_link.link(ids.digest(ADDRESS), key=new, public_url=SETTINGS.public_url)
    assert world.provider.accepted[0]["headers"]["List-Unsubscribe"] == f"<{link}>"


def test_links_in_emails_already_sent_keep_working() -> None:
    """A token is today what it was in every earlier release, byte for byte."""
    key, contact = OLD["UNSUBSCRIBE_KEY"], ids.digest(ADDRESS)
    sent = f"{contact}.{hmac.digest(key.encode(), f'unsubscribe:{contact}'.encode(), hashlib.sha256).hex()[:32]}"
    assert unsubscribe_link.link(contact, key=key, public_url="https://a.example.org/").endswith(f"?token={sent}")
    assert unsubscribe_link.contact_of(sent, keys=("another key", key)) == contact


@pytest.mark.parametrize("token", ["", ".", "a", ".a", "a.", "a.b.c", "\ud800.b"])
def test_a_token_is_good_for_its_purpose_only(token: str) -> None:
    """What confirms an address does not unsubscribe it, and no other text is a token."""
    confirming = signed_tokens.sign("someone", "confirm", "the key")
    assert signed_tokens.subject_of(confirming, "confirm", ("the key",)) == "someone"
    assert signed_tokens.subject_of(confirming, "unsubscribe", ("the key",)) is None
    assert signed_tokens.subject_of(token, "unsubscribe", ("the key",)) is None
    assert signed_tokens.subject_of(signed_tokens.sign("someone", "confirm", ""), "confirm", ()) is None
