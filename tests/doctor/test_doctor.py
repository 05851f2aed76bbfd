"""`evergreen doctor`: a set-up that is right, and each way in which it can be wrong.

Real Valkey, the sandbox's Notion."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result
from flask import Flask, Response, jsonify
from redis import Redis

from commands import main
from local import valkey
from shared.core.settings import Settings
from shared.doctor import address_checks, redis_checks, settings_checks
from shared.doctor.findings import Finding
from shared.doctor.service_checks import Answer, public, resend
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.version import VERSION
from tests.conftest import Clock
from tests.support.functions_client import fresh_services
from tests.support.refusing import REFUSALS, refusing
from tests.support.sandbox_server import Sandbox, sandbox, serving
from tests.support.waiting import WITHIN
from tests.support.world import World as EvergreenWorld

DATABASES = {
    "NOTION_BUSINESSX_DB_ID": "contacts",
    "NOTION_EMAIL_SEQUENCE_DB_ID": "tracker",
    "NOTION_EMAIL_LOG_DB_ID": "email_log",
    "NOTION_TEMPLATES_DB_ID": "templates",
}
WEBHOOK_SECRET = "whsec_" + "bWVhc3VyZWQsIGFuZCBub2JvZHkncyBvd24="


@dataclass
class World:
    """A stand-in for what the sandbox lacks: Resend's domains, and our own public address; the test sets the
    responses."""

    key: tuple[int, dict[str, Any]] = (200, {"data": [{"name": "evergreen.example.org", "status": "verified"}]})
    webhook: int = 200
    health: tuple[int, dict[str, Any]] = (200, {"status": "healthy", "reasons": []})
    rate: str = "2"
    environ: dict[str, str] = field(default_factory=dict)

    def app(self) -> Flask:
        """The stand-in."""
        app = Flask("stand-in")

        @app.get("/resend/domains")
        def domains() -> tuple[Response, int, dict[str, str]]:
            return jsonify(self.key[1]), self.key[0], {"ratelimit-limit": self.rate}

        @app.get("/discord")
        def discord() -> tuple[Response, int]:
            return jsonify({"code": 0}), self.webhook

        @app.get("/health")
        def health() -> tuple[Response, int]:
            return jsonify(self.health[1]), self.health[0]

        return app


@pytest.fixture(scope="module")
def box() -> Iterator[tuple[Sandbox, dict[str, Any]]]:
    """The sandbox, with a workspace in its Notion."""
    with sandbox() as running:
        yield running, running.seed()


@pytest.fixture
def world(
    valkey_server: valkey.Valkey,
    redis: Redis,
    box: tuple[Sandbox, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    lasting_tick: None,
) -> Iterator[World]:
    """A set-up in which nothing is wrong: scheduler and workers are running, and no secret is used twice."""
    running, made = box
    running.post("/limits", {"notion_per_second": 1000})
    monkeypatch.setattr(
        sys.modules["commands.doctor"], "TIMEOUT", WITHIN
    )  # as an attribute of `commands`, that name is the command
    world = World()
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    with serving(world.app()) as url:
        world.environ = {
            "ENV_FILE": str(tmp_path / "none"),
            "REDIS_URL": valkey_server.url,
            "REDIS_PASSWORD": valkey_server.password,
            "RESEND_API_KEY": "re_test",
            "RESEND_API_URL": f"{url}/resend",
            "RESEND_FROM_EMAIL": "Evergreen <hello@evergreen.example.org>",
            "RESEND_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "NOTION_TOKEN": "ntn_sandbox",
            "NOTION_API_URL": f"{running.url}/notion",
            **{setting: made[name]["database_id"] for setting, name in DATABASES.items()},
            "DISCORD_WEBHOOK_URL": f"{url}/discord",
            "PUBLIC_URL": url,
            "CORS_ORIGINS": "https://www.example.org",
            "POSTAL_ADDRESS": "1 Main Street, Springfield",
            **{
                name: f"{name} that is long enough, and its own"
                for name in ("INTERNAL_TOKEN", "OPERATOR_TOKEN", "UNSUBSCRIBE_KEY")
            },
        }
        redis.config_set("appendfsync", "always")
        at_work(redis)
        yield world
        redis.config_set("appendfsync", "everysec")


def at_work(redis: Redis) -> None:
    """The heartbeats of scheduler and workers; the fence is held."""
    redis.set(ids.TICK, Ledger(redis).now())
    for queue in ("send", "record", "notify"):
        redis.sadd(f"rq:workers:{queue}", "one")


def doctor(world: World, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    """Run the command in this set-up."""
    for name, value in world.environ.items():
        monkeypatch.setenv(name, value)
    fresh_services()
    return CliRunner().invoke(main, ["doctor", *arguments])


def faults(result: Result) -> list[dict[str, str]]:
    """What must be fixed, from --json."""
    return [finding for finding in json.loads(result.stdout) if finding["level"] == "fault"]


def test_nothing_is_wrong(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit status 0, and every part was looked at."""
    result = doctor(world, monkeypatch, "--json")
    assert faults(result) == []
    assert result.exit_code == 0
    seen = {finding["about"] for finding in json.loads(result.stdout) if finding["level"] == "ok"}
    assert {"settings", "campaigns", "Redis", "scheduler", "worker send", "RESEND_API_KEY", "RESEND_FROM_EMAIL"} <= seen
    assert {"Discord", "PUBLIC_URL", "Notion"} <= seen


def env(**changes: str) -> Callable[[World, Redis], None]:
    """A set-up with other settings."""
    return lambda world, _redis: world.environ.update(changes)


def stand_in(**changes: Any) -> Callable[[World, Redis], None]:
    """A set-up in which a stand-in answers differently."""
    return lambda world, _redis: vars(world).update(changes)


def in_redis(*command: Any) -> Callable[[World, Redis], object]:
    """A set-up after a command to Redis."""
    # shipped without types
    return lambda _world, redis: redis.execute_command(*command)  # type: ignore[no-untyped-call]


PENDING = {"data": [{"name": "evergreen.example.org", "status": "pending"}]}
BROKEN: dict[str, tuple[Callable[[World, Redis], object], str, str]] = {
    "a setting is missing": (env(POSTAL_ADDRESS=""), "POSTAL_ADDRESS", "set POSTAL_ADDRESS"),
    "a setting is wrong": (env(TESTING_STEP="soon"), "settings", ".env.example"),
    "Redis is unavailable": (env(REDIS_URL="redis://127.0.0.1:1/0"), "REDIS_URL", "correct REDIS_URL"),
    "a Redis that forbids to look": (in_redis("ACL", "SETUSER", "default", "-info"), "Redis", "ACL"),
    "Redis's password": (env(REDIS_PASSWORD="another password"), "REDIS_PASSWORD", "requirepass"),
    "Redis keeps nothing": (in_redis("CONFIG", "SET", "appendonly", "no"), "Redis appendonly", "appendonly yes"),
    "Redis forgets": (
        in_redis("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"),
        "Redis maxmemory-policy",
        "noeviction",
    ),
    "another release's ledger": (in_redis("SET", ids.VERSION, str(VERSION + 1)), "ledger", "the release that wrote it"),
    "no scheduler": (in_redis("DEL", ids.TICK), "scheduler", "scheduler.release"),
    "no worker": (in_redis("DEL", ids.workers_key("send")), "worker send", "scheduler.worker send"),
    "a closed gate": (in_redis("HSET", ids.GATE, "reason", "Resend answered 403"), "sending", "start-sending"),
    "another copy": (in_redis("HSET", ids.FENCE, "on", "1", "why", "another copy sends"), "fence", "evergreen fence"),
    "a rejected edit": (
        in_redis("HSET", "eg:templates:rejected", "christmas/christmas_email_1", "no link"),
        "christmas/christmas_email_1",
        "page",
    ),
    "Resend's key": (stand_in(key=(403, {"name": "invalid_api_key"})), "RESEND_API_KEY", "resend.com/api-keys"),
    "an unverified domain": (stand_in(key=(200, PENDING)), "RESEND_FROM_EMAIL", "DNS"),
    "another domain": (env(RESEND_FROM_EMAIL="me@other.example.org"), "RESEND_FROM_EMAIL", "add other.example.org"),
    "too fast": (env(RESEND_RATE="10"), "RESEND_RATE", "RESEND_RATE=2"),
    "Notion's token": (env(NOTION_EMAIL_LOG_DB_ID="0" * 32), "Notion", "share the database"),
    "a mixed-up database": (
        lambda world, _redis: world.environ.update(NOTION_EMAIL_LOG_DB_ID=world.environ["NOTION_TEMPLATES_DB_ID"]),
        "Notion",
        "correct NOTION_EMAIL_LOG_DB_ID",
    ),
    "Discord's webhook": (stand_in(webhook=404), "DISCORD_WEBHOOK_URL", "create a webhook"),
    "CORS without TLS": (env(CORS_ORIGINS="http://www.example.org"), "CORS_ORIGINS", "https://www.example.org"),
    "CORS that is not an address": (env(CORS_ORIGINS="https://[www"), "CORS_ORIGINS", "https://www.example.org"),
    "CORS with a path": (env(CORS_ORIGINS="https://www.example.org/form"), "CORS_ORIGINS", "only scheme and host"),
    "nobody at the public address": (stand_in(health=(404, {})), "PUBLIC_URL", "ingress"),
    "a short key": (
        env(UNSUBSCRIBE_KEY="thirty-one characters, not more"),
        "settings",
        ".env.example",
    ),
    "two equal secrets": (
        env(OPERATOR_TOKEN="INTERNAL_TOKEN that is long enough, and its own"),
        "INTERNAL_TOKEN and OPERATOR_TOKEN",
        "each",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_one_thing_is_wrong(name: str, world: World, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault is named, with its fix, and it alone; exit status 1."""
    break_it, about, fix = BROKEN[name]
    before = cast(dict[str, str], redis.config_get("appendonly", "maxmemory-policy"))
    break_it(world, redis)
    try:
        result = doctor(world, monkeypatch, "--json")
    finally:
        # shipped without types
        redis.execute_command("ACL", "SETUSER", "default", "+@all")  # type: ignore[no-untyped-call]
        for option, value in before.items():
            redis.config_set(option, value)
    found = faults(result)
    assert [finding["about"] for finding in found] == [about]
    assert fix in found[0]["fix"]
    assert result.exit_code == 1


def test_a_pod_does_not_need_every_secret(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler's has no operator's token and should have none, so that is no fault; settings that are not secrets
    must still be there."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    world.environ |= {"OPERATOR_TOKEN": "", "POSTAL_ADDRESS": ""}
    assert [finding["about"] for finding in faults(doctor(world, monkeypatch, "--json"))] == ["POSTAL_ADDRESS"]


def test_a_replaced_secret_that_still_counts_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a reminder, not as a fault; as a fault if both values are the same, because nothing was replaced."""
    world.environ |= {"OPERATOR_TOKEN_PREVIOUS": "the one before, made of other words"}
    result = doctor(world, monkeypatch, "--json")
    told = [finding for finding in json.loads(result.stdout) if finding["about"] == "OPERATOR_TOKEN_PREVIOUS"]
    assert [(finding["level"], "remove it" in finding["fix"]) for finding in told] == [("note", True)]
    world.environ |= {"OPERATOR_TOKEN_PREVIOUS": world.environ["OPERATOR_TOKEN"]}
    assert [finding["about"] for finding in faults(doctor(world, monkeypatch, "--json"))] == [
        "OPERATOR_TOKEN and OPERATOR_TOKEN_PREVIOUS"
    ]


def test_no_secret_is_printed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a wrong one."""
    world.environ |= {"OPERATOR_TOKEN": "shorty-of-mine, twice", "CONSOLE_PASSWORD": "shorty-of-mine, twice"}
    said = doctor(world, monkeypatch).output
    assert "→ create one" in said
    for name in ("OPERATOR_TOKEN", "INTERNAL_TOKEN", "REDIS_PASSWORD", "DISCORD_WEBHOOK_URL", "RESEND_WEBHOOK_SECRET"):
        assert world.environ[name] not in said


def found_by(check: Iterator[Finding]) -> dict[str, tuple[str, str]]:
    """Findings by what they are about."""
    return {finding.about: (finding.level, finding.message) for finding in check}


class TestProduction:
    """What is wrong only where real people get the emails."""

    LIVE = Settings(testing_mode=True, public_url="http://evergreen.example.org", booking_url="https://cal.com/")

    def test_leftovers_from_testing_are_faults(self) -> None:
        """TESTING_MODE, an address without TLS, and a button that leads nowhere are faults with the real Resend."""
        found = found_by(settings_checks.settings(self.LIVE))
        assert found["TESTING_MODE"][0] == found["PUBLIC_URL"][0] == found["BOOKING_URL"][0] == "fault"

    def test_leftovers_from_testing_are_fine_with_the_sandbox(self) -> None:
        """With the sandbox in place of Resend, none of them is a fault."""
        found = found_by(
            settings_checks.settings(self.LIVE.model_copy(update={"resend_api_url": "http://127.0.0.1:8090/resend"}))
        )
        assert not {"TESTING_MODE", "PUBLIC_URL", "BOOKING_URL"} & set(found)

    def test_the_public_address_is_not_this_machine(self) -> None:
        """An unsubscribe link that leads to 127.0.0.1 is useless."""
        found = found_by(address_checks.addresses(self.LIVE.model_copy(update={"public_url": "http://127.0.0.1:8080"})))
        assert "this machine" in found["PUBLIC_URL"][1]


class TestResend:
    """What Resend's answers mean."""

    KEY = Settings(resend_api_key="re_test", resend_from_email="me@example.org")

    def test_a_key_that_may_only_send_is_fine(self) -> None:
        """It gets 401 restricted_api_key for every read, and is all that Evergreen needs."""
        heard = Answer(401, {"name": "restricted_api_key", "message": "This API key is restricted to only send emails"})
        assert found_by(resend(self.KEY, lambda _url, _headers: heard))["RESEND_API_KEY"][0] == "ok"

    def test_the_sandbox_has_no_domains(self, box: tuple[Sandbox, dict[str, Any]]) -> None:
        """Then its list of emails shows that the key works."""
        found = found_by(resend(self.KEY, lambda url, _headers: Answer(200) if "/emails" in url else Answer(404)))
        assert (found["RESEND_API_KEY"][0], found["RESEND_FROM_EMAIL"][0]) == ("ok", "note")

    @pytest.mark.parametrize(("status", "level"), [(0, "fault"), (503, "note"), (429, "note")])
    def test_it_is_unavailable(self, status: int, level: str) -> None:
        """Unreachable is our fault until shown otherwise; a temporary refusal is not."""
        assert found_by(resend(self.KEY, lambda _url, _headers: Answer(status)))["Resend"][0] == level


def test_emails_on_no_list(redis: Redis, clock: Clock) -> None:
    """Each is counted, with the command that puts them back; doctor itself does not change them."""
    ledger = Ledger(redis, clock=clock)
    runs = [EvergreenWorld(ledger, clock).sign_up(email=f"p{number}@example.org") for number in range(60)]
    assert "emails" not in found_by(redis_checks.redis(ledger, Settings(), clock))
    redis.zrem(ids.OPEN, *(f"{run}-7" for run in runs))
    level, message = found_by(redis_checks.redis(ledger, Settings(), clock))["emails"]
    assert level == "fault" and message.startswith("60 are on no list")
    assert len(ledger.audit_all()) == 60


@pytest.mark.parametrize("how", REFUSALS)
def test_a_redis_that_refuses_writes(
    how: str, redis: Redis, clock: Clock, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named as a fault, and emails on no list are still counted."""
    EvergreenWorld(Ledger(redis), clock).sign_up()
    redis.delete(ids.OPEN)
    with refusing(redis, how):
        found = faults(doctor(world, monkeypatch, "--json"))
    assert [finding["about"] for finding in found if "accepts no writes" in finding["message"]] in (
        ["Redis"],
        ["REDIS_URL"],
    )
    assert [finding["message"][:18] for finding in found if finding["about"] == "emails"] == ["7 are on no list a"]
    assert redis.keys("no key*") == []


def test_degraded_is_not_unreachable() -> None:
    """A 503 from our own health check shows that the address is right."""
    heard = Answer(503, {"status": "degraded", "reasons": ["the scheduler is silent"]})
    assert found_by(public(Settings(), lambda _url, _headers: heard)) == {
        "health": ("note", "is degraded: the scheduler is silent")
    }


@pytest.mark.parametrize(("seconds", "level"), [(0, None), (10, "note"), (-90, "fault")])
def test_clocks_that_differ(seconds: int, level: str | None, redis: Redis, clock: Clock) -> None:
    """Emails go out by Redis's clock: a wrong one is named, and whether it is ahead or behind."""
    ledger = Ledger(redis, clock=lambda: clock.now + seconds * 1000)
    found = found_by(redis_checks.redis(ledger, Settings(), clock))
    assert found.get("clock", (None,))[0] == level
    if level:
        assert ("ahead of" if seconds > 0 else "behind") in found["clock"][1]
