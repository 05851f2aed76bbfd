"""No address, name or secret is where it does not belong: a whole life on real processes, and then a look at all it
left."""

from __future__ import annotations

import json
import pickle
import pickletools
import re
import zlib
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import requests
from redis import Redis

from local.trial import Trial, running
from shared.ledger import ids
from tests.support.calendar_samples import calcom_created, calcom_no_show, signed_calcom
from tests.support.waiting import WITHIN, until

LEAD = "zebedina.private@mail.example.org"
BOOKER = "quintus.private@mail.example.org"
REFUSED = "ysolde.private@example.com"  # Resend rejects this domain, and its message repeats the address
DOUBTED = "wilhelmine.private@mail.example.org"
GONE = "thaddeus.private@mail.example.org"
LATEST = "adalberta.private@mail.example.org"
KEY = "idempotency-key-of-zebedina"
# What only these people know of themselves; a match in any case, anywhere, is a find.
PRIVATE = ("private@", "zebedina", "quintus", "ysolde", "wilhelmine", "thaddeus", "adalberta", "quixworth", "jane doe")
SCORES = {"assessment_score": 12, "red_systems": 3}

# Where a person's own words are kept on purpose, as a key and, in a hash, its field. Nothing else may hold any.
HELD = (
    # the person
    r"eg:contact:[0-9a-f]{20}/(email|name|first_name|last_name|business_name|timezone|booking_url|consent_\w+)",
    r"eg:frozen:[\w-]+/body",  # the request to the provider, until its outcome is known, and for at most a day
)


def form(email: str, **fields: Any) -> dict[str, Any]:
    """A sign-up by one of these people, with the name in the address."""
    return {"email": email, "first_name": email.split(".")[0].title(), "business_name": "Quixworth", **SCORES, **fields}


def webhook(trial: Trial, name: str, body: bytes | dict[str, Any], **headers: str) -> requests.Response:
    """Post to a public webhook."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requests.post(
        f"{trial.url}/webhook/{name}",
        data=data,
        headers={"Content-Type": "application/json", **headers},
        timeout=WITHIN,
    )


def calcom(trial: Trial, event: dict[str, Any]) -> requests.Response:
    """Post as Cal.com does."""
    body = json.dumps(event).encode()
    return webhook(trial, "calcom-booking", body, **signed_calcom(body, secret(trial, "calcom-webhook-secret")))


def secret(trial: Trial, name: str) -> str:
    """A secret that the stack made."""
    return (trial.directory / "secrets" / name).read_text().strip()


def state(trial: Trial, email: str, step: int = 1) -> str | None:
    """The state of a step in a person's Christmas."""
    return trial.ledger().peek(f"{ids.enrollment_prefix('christmas', email)}-1", step).state


def opened(value: bytes) -> Iterator[bytes]:
    """A value as it is, and what is packed in it: RQ keeps tracebacks compressed, or compressed and in base64."""
    yield value
    for unpack in (zlib.decompress, lambda packed: zlib.decompress(b64decode(packed, validate=True))):
        try:
            yield unpack(value)
        except (zlib.error, ValueError):
            continue


def stored(redis: Redis) -> Iterator[tuple[str, bytes]]:
    """Everything in Redis: each key, then each field and value, under where it lies."""
    client = cast(Any, redis)  # answers are bytes here
    for key in client.scan_iter():
        name = key.decode()
        yield "a key", key
        match client.type(key):
            case b"string":
                yield name, client.get(key) or b""
            case b"hash":
                for field, value in client.hgetall(key).items():
                    yield f"{name} (fields)", field
                    yield f"{name}/{field.decode()}", value
            case b"list":
                yield from ((name, value) for value in client.lrange(key, 0, -1))
            case b"set":
                yield from ((name, value) for value in client.smembers(key))
            case b"zset":
                yield from ((name, value) for value in client.zrange(key, 0, -1))
            case b"stream":
                yield from (
                    (f"{name}/{field.decode()}", value)
                    for _, entry in client.xrange(key)
                    for field, value in entry.items()
                )
            case b"none":
                continue
            case kind:
                raise AssertionError(f"{name} is a {kind!r}, which this test cannot read")


def finds(where: str, text: str, secrets: tuple[str, ...]) -> list[str]:
    """What a text reveals, with where."""
    return [f"{where}: {word}" for word in (*PRIVATE, KEY, *secrets) if word.lower() in text.lower()]


def leaks(redis: Redis, secrets: tuple[str, ...]) -> list[str]:
    """What is in Redis where it may not be; a secret may be nowhere."""
    found = []
    for where, value in stored(redis):
        held = any(re.fullmatch(rule, where) for rule in HELD)
        for content in opened(value):
            text = content.decode(errors="replace")
            found += [word for word in secrets if word in text] if held else finds(where, text, secrets)
    return found


def is_pickle(value: bytes) -> bool:
    """Whether a value is a pickle, from its first byte to its last."""
    try:
        *_, (_, _, at) = pickletools.genops(value)
    except Exception:  # any error that pickletools raises for bytes that are not pickles
        return False
    return at == len(value) - 1


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_found(protocol: int) -> None:
    """In every protocol; none of our own text is mistaken for one."""
    assert is_pickle(pickle.dumps(["scheduler.jobs.send_step", None, [1], {}], protocol))
    assert not is_pickle(b'["scheduler.jobs.send_step", null, [1], {}]') and not is_pickle(b"1.state")


def live(trial: Trial) -> list[requests.Response]:
    """Everything that happens to people; returns the refusals."""
    trial.fault(kind="status", status=409, name="invalid_idempotent_request", count=1)
    assert trial.sign_up(form(DOUBTED)) == 202
    until(lambda: state(trial, DOUBTED) == "in-doubt")
    assert trial.sign_up(form(REFUSED)) == 202
    until(lambda: state(trial, REFUSED) == "failed")
    assert trial.sign_up(form(GONE)) == 202
    now = datetime.now(UTC)
    start, posted, later = (f"{now + timedelta(seconds=s):%Y-%m-%dT%H:%M:%SZ}" for s in (90_000, 0, 1))
    assert calcom(trial, calcom_created(start=start, email=BOOKER, posted=posted)).json()["outcome"] == "enrolled"
    assert calcom(trial, calcom_no_show(email=BOOKER, posted=later)).json()["outcome"] == "enrolled"
    until(lambda: state(trial, GONE) == "sent")
    link = next(email["headers"]["List-Unsubscribe"] for email in trial.outbox() if GONE in email["to"]).strip("<>")
    assert requests.post(link, timeout=WITHIN).status_code == 200
    assert (
        webhook(
            trial, "christmas-signup", form(LEAD, consent=True, consent_text="yes"), **{"Idempotency-Key": KEY}
        ).status_code
        == 202
    )
    return [
        webhook(trial, "christmas-signup", form(f"x{LEAD}@")),
        webhook(trial, "christmas-signup", b'{"email": "' + LEAD.encode()),
        webhook(trial, "christmas-signup", form(LEAD, red_systems=99)),
        webhook(trial, "calcom-booking", form(LEAD), **{"X-Cal-Signature-256": LEAD}),
        webhook(trial, "postcall-maybe", form(LEAD), Authorization=f"Bearer {LEAD}"),
        requests.post(f"{trial.url}/unsubscribe", params={"token": LEAD}, timeout=WITHIN),
        requests.get(f"{trial.url}/webhook/{LEAD}", timeout=WITHIN),
        requests.get(f"{trial.url}/health", timeout=WITHIN),
    ]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Trial, list[requests.Response]]]:
    """A stack on which all of it has happened."""
    with running(tmp_path_factory.mktemp("life"), TESTING_STEP="2s", NOTION_RATE="1000", LOG_LEVEL="INFO") as trial:
        trial.limit(resend=100, notion=1000)
        yield trial, live(trial)


@pytest.fixture
def secrets(life: tuple[Trial, Any]) -> tuple[str, ...]:
    """Every secret of the stack."""
    trial, _ = life
    return (
        *(path.read_text().strip() for path in (trial.directory / "secrets").iterdir()),
        "re_sandbox",
        "ntn_sandbox",
        "webhooks/1/",
    )


@pytest.fixture
def raw(life: tuple[Trial, Any]) -> Iterator[Redis]:
    """A client whose answers stay bytes."""
    trial, _ = life
    with trial.redis() as text:
        wanted = text.connection_pool.connection_kwargs
    with Redis(port=wanted["port"], password=wanted["password"]) as client:
        yield client


def test_redis_leaks_nothing_while_emails_are_pending(
    life: tuple[Trial, Any], raw: Redis, secrets: tuple[str, ...]
) -> None:
    """Keys, the schedule and RQ's jobs name no one; what does is on the list above, and is there; nothing is a
    pickle."""
    trial, _ = life
    assert trial.sign_up(form(LATEST)) == 202
    assert trial.redis().zcard(ids.SCHEDULED), "emails must still be on their way, or this looks at too little"
    assert trial.redis().zcard("rq:failed:send") >= 2, (
        "one is in doubt, and each of the refused one's fails as it comes due"
    )
    assert not leaks(raw, secrets)
    used = {
        rule
        for rule in HELD
        for where, value in stored(raw)
        if re.fullmatch(rule, where) and finds(where, value.decode(), ())
    }
    assert used == set(HELD), "a rule that nothing needs would hide a leak"
    assert not [where for where, value in stored(raw) for content in opened(value) if is_pickle(content)]


def test_refusals_repeat_nothing_that_was_posted(
    life: tuple[Trial, list[requests.Response]], secrets: tuple[str, ...]
) -> None:
    """No refusal repeats what was posted, and /health reveals no secret."""
    _, refusals = life
    assert [answer.status_code for answer in refusals][:-1] == [422, 400, 422, 401, 401, 401, 404]
    for answer in refusals:
        assert not finds(answer.url.split("?")[0].removesuffix(LEAD), answer.text + str(answer.headers), secrets)


def test_only_a_lead_alert_names_a_person(life: tuple[Trial, Any], secrets: tuple[str, ...]) -> None:
    """An alert names no person, though a person's email has failed; a lead does, because that is its purpose."""
    trial, _ = life

    def embeds() -> list[dict[str, Any]]:
        messages = requests.get(f"{trial.sandbox_url}/discord.json", timeout=WITHIN).json()
        return [embed for message in messages for embed in message["embeds"]]

    def told(word: str) -> list[dict[str, Any]]:
        return [embed for embed in embeds() if word in embed["title"]]

    until(lambda: bool(told("lead") and told("An email failed") and told("It is unknown")))
    assert any("private" in str(embed) for embed in told("lead"))
    for embed in embeds():
        if "lead" not in embed["title"]:
            assert not finds(embed["title"], json.dumps(embed), secrets)


def test_redis_and_the_logs_leak_nothing_afterwards(
    life: tuple[Trial, Any], raw: Redis, secrets: tuple[str, ...]
) -> None:
    """When the emails are sent and recorded, Redis still names no one elsewhere, and no line of any part's log ever
    did."""
    trial, _ = life
    until(lambda: state(trial, LEAD, 7) == "sent" and trial.redis().zcard(ids.OUTBOX) == 0)
    assert not leaks(raw, secrets)
    logs = [
        path for path in Path(trial.directory, "logs").glob("*.log") if path.stem != "sandbox"
    ]  # which stands for other services
    assert {"gateway", "scheduler", "worker", "recorder", "notifier", "valkey"} <= {path.stem for path in logs}
    text = {path.stem: path.read_text(errors="replace") for path in logs}
    assert "signed_up" in text["gateway"] and "email.trouble" in text["gateway"]
    assert not [
        find for name, lines in text.items() for line in lines.splitlines() for find in finds(name, line, secrets)
    ]
