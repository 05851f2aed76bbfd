"""What keeps strangers out, seen from outside: starts without proofs, wrong proofs, and what every answer carries."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from structlog.testing import CapturingLogger

from local import valkey
from scheduler import release, worker
from shared.core.errors import SettingsError
from shared.core.settings import Settings
from shared.core.stack_file import listed
from shared.ledger import limits
from shared.web import guards
from tests.support.functions_client import LINK, Functions, deployed, fresh_services
from tests.support.webhook_calls import FORMS, good, post, webhooks

ELSEWHERE = "redis://valkey.example.org:6379/0"
OF_REDIS = "9c1e5b7d3f2a8064"
# What each process cannot do its work without, beside Redis; the forms are open to all, and so limited instead of
# proved.
NEEDS: dict[str, set[str]] = {
    **{name: set() for name in (*FORMS, "health")},
    "calcom-booking": {"CALCOM_WEBHOOK_SECRET"},
    "calendly-noshow": {"CALENDLY_SIGNING_KEY or OPERATOR_TOKEN"},
    "console": {"OPERATOR_TOKEN"},
    "onboarding-start": {"OPERATOR_TOKEN"},
    "postcall-maybe": {"OPERATOR_TOKEN"},
    "resend-events": {"RESEND_WEBHOOK_SECRET"},
    "send-email": {"RESEND_API_KEY", "RESEND_FROM_EMAIL", "INTERNAL_TOKEN", "UNSUBSCRIBE_KEY", "POSTAL_ADDRESS"},
    "unsubscribe": {"UNSUBSCRIBE_KEY"},
}
PROCESSES: dict[str, tuple[Callable[[], None], set[str]]] = {
    "scheduler": (release.main, set()),
    "worker send": (lambda: worker.main("send"), {"INTERNAL_TOKEN"}),
    "worker record": (lambda: worker.main("record"), set()),
    "worker notify": (lambda: worker.main("notify"), set()),
}


@pytest.fixture
def functions(redis: Redis, valkey_server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """All functions with their secrets, on an empty database."""
    with webhooks(valkey_server, monkeypatch) as ready:
        yield ready


class TestStart:
    """Nothing starts without its proofs."""

    @pytest.fixture
    def bare(self, valkey_server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
        """Functions for which nothing at all is set."""
        with deployed(valkey_server, monkeypatch) as ready:
            for name in Settings.model_fields:
                monkeypatch.delenv(name.upper(), raising=False)
            fresh_services()
            yield ready

    @staticmethod
    def missing(start: Callable[[], object]) -> set[str]:
        """The settings that a start reports as missing."""
        with pytest.raises((SettingsError, SystemExit)) as caught:
            start()
        error = caught.value
        message = str(error if isinstance(error, SettingsError) else error.__context__)  # a process has logged it
        named = re.match(
            r"missing: (.*?)\. Set (it|each) in the environment, as NAME_FILE=<path>, or as a secret file", message
        )
        assert named and message.endswith("See .env.example."), message
        assert f"/var/openfaas/secrets/{named[1].split(',')[0].split()[0].lower().replace('_', '-')}" in message
        return set(named[1].split(", "))

    def test_every_function_is_here(self) -> None:
        """A new function must say what it needs."""
        assert set(NEEDS) >= {function.name for function in listed()}

    @pytest.mark.parametrize("name", NEEDS)
    def test_a_function_names_every_missing_setting(
        self, bare: Functions, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """At once, with the place to put it; and a Redis on another machine needs its password."""
        if NEEDS[name]:
            assert self.missing(lambda: bare.client(name)) == NEEDS[name]
        else:
            bare.client(name)
        bare.set(REDIS_URL=ELSEWHERE)
        assert self.missing(lambda: bare.client(name)) == NEEDS[name] | {"REDIS_PASSWORD"}

    @pytest.mark.parametrize("name", PROCESSES)
    def test_a_process_names_every_missing_setting(self, bare: Functions, name: str) -> None:
        """The scheduler and the workers, before they touch Redis; they end with status 1, and no traceback."""
        main, needs = PROCESSES[name]
        bare.set(REDIS_URL=ELSEWHERE)
        assert self.missing(main) == needs | {"REDIS_PASSWORD"}

    @pytest.mark.parametrize(
        ("url", "password", "refused"),
        [
            ("redis://valkey:6379/0", "", True),
            ("rediss://valkey:6379/0", "", True),
            ("redis://user@valkey/0", "", True),
            ("redis://127.0.0.1.example.org/0", "", True),
            ("redis://valkey/0", OF_REDIS, False),
            (f"redis://user:{OF_REDIS}@valkey/0", "", False),
            (f"redis://:{OF_REDIS}@valkey/0", "", False),
            (f"redis://valkey/0?password={OF_REDIS}", "", False),
            ("redis://127.0.0.1:6379/0", "", False),
            ("redis://localhost", "", False),
            ("redis://[::1]:6379/0", "", False),
            ("unix:///run/valkey.sock", "", False),
        ],
    )
    def test_when_redis_needs_a_password(self, url: str, password: str, refused: bool) -> None:
        """If a network lies between, unless the address carries one."""
        settings = Settings(redis_url=url, redis_password=password)
        if refused:
            assert self.missing(lambda: settings.require("redis_url")) == {"REDIS_PASSWORD"}
        else:
            assert settings.require("redis_url") is settings


class TestProofs:
    """How a secret is compared, and what a wrong proof leaves behind."""

    WRONG: tuple[tuple[str, str, dict[str, str]], ...] = (
        ("calcom-booking", "signature", {"X-Cal-Signature-256": "tell-tale"}),
        ("calendly-noshow", "signature", {"Calendly-Webhook-Signature": "t=1,v1=tell-tale"}),
        ("calendly-noshow", "bearer token", {"Authorization": "Bearer tell-tale"}),
        ("resend-events", "signature", {"svix-id": "msg_1", "svix-timestamp": "1", "svix-signature": "v1,tell-tale"}),
        ("postcall-maybe", "bearer token", {"Authorization": "Bearer tell-tale"}),
        ("onboarding-start", "bearer token", {}),
        ("send-email", "bearer token", {"Authorization": "Bearer tell-tale"}),
        ("unsubscribe", "link", {}),
    )

    @pytest.mark.parametrize(("name", "proof", "headers"), WRONG)
    def test_a_wrong_proof_is_logged_and_counted(
        self, functions: Functions, monkeypatch: pytest.MonkeyPatch, name: str, proof: str, headers: dict[str, str]
    ) -> None:
        """By function, in the log and in Redis; the wrong proof itself is in neither, nor in the response."""
        logger = CapturingLogger()
        monkeypatch.setattr(guards, "_logger", logger)
        answer = functions.post(b'{"email": "tell-tale"}', name, headers=headers, query_string={"token": "tell-tale"})
        assert answer.status_code == 401
        assert [call.kwargs for call in logger.calls if call.args == ("proof.failed",)] == [{"proof": proof}]
        redis = functions.ledger.redis
        assert redis.hgetall(limits.REFUSED) == {name: "1"}
        assert list(redis.scan_iter()) == [limits.REFUSED]
        assert "tell-tale" not in answer.text + str(logger.calls)

    def test_a_valid_proof_is_not_counted(self, functions: Functions) -> None:
        """The counter stays at zero."""
        for name in ("calcom-booking", "calendly-noshow", "postcall-maybe"):
            assert post(functions, name, good(name)).status_code in (200, 202)
        assert functions.client("unsubscribe").get(LINK).status_code == 200
        assert not functions.ledger.redis.exists(limits.REFUSED)

    def test_a_wrong_proof_is_refused_without_redis_too(self, functions: Functions) -> None:
        """An unreachable counter lets no one in, and does not change the response."""
        functions.set(REDIS_URL="redis://127.0.0.1:9/0")
        assert post(functions, "postcall-maybe", good("postcall-maybe"), headers={}).status_code == 401

    @pytest.mark.parametrize(("name", "headers"), [(name, headers) for name, _, headers in WRONG if headers])
    def test_a_non_ascii_proof_is_401(self, functions: Functions, name: str, headers: dict[str, str]) -> None:
        """It is wrong, and does not crash."""
        strange = {header: value.replace("tell-tale", "ünïcode") for header, value in headers.items()}
        assert functions.post(b"{}", name, headers=strange).status_code == 401


class TestAnswers:
    """What every answer carries."""

    @pytest.mark.parametrize("name", sorted(NEEDS.keys() - {"console"}))
    def test_no_response_is_cached_or_sniffed(self, functions: Functions, name: str) -> None:
        """Browsers do not guess its type, and no proxy caches it."""
        answer = functions.post(b"{}", name)
        assert (answer.headers["X-Content-Type-Options"], answer.headers["Cache-Control"]) == ("nosniff", "no-store")

    def test_the_page_can_only_ask(self, functions: Functions) -> None:
        """It runs no script, loads nothing, cannot be framed, posts only to itself and never reveals the token in its
        address."""
        headers = functions.client("unsubscribe").get(LINK).headers
        policy = {rule.split()[0]: rule.split()[1:] for rule in headers["Content-Security-Policy"].split(";")}
        assert (policy["default-src"], policy["frame-ancestors"], policy["form-action"], policy["base-uri"]) == (
            ["'none'"], ["'none'"], ["'self'"], ["'none'"],
        )  # fmt: skip
        assert "script-src" not in policy and headers["Referrer-Policy"] == "no-referrer"

    @pytest.mark.parametrize(
        "path", ["//evil.example.net", "//evil.example.net/%2f..", "/\\\\evil.example.net", "/https://evil.example.net"]
    )
    def test_no_path_redirects(self, functions: Functions, path: str) -> None:
        """A path that looks like an address is answered here."""
        for name in ("unsubscribe", "health"):
            answer = functions.client(name).get("/", environ_overrides={"PATH_INFO": path})
            assert not 300 <= answer.status_code < 400 and "Location" not in answer.headers
