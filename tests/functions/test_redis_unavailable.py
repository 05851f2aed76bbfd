"""How the functions respond while Redis cannot store anything, and after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local import valkey
from tests.support.functions_client import ADDRESS, LINK, SECRET, deployed, signed


def test_503_while_it_is_unavailable_and_202_when_it_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every function says so and when to retry, within seconds; once Redis is back, it is used at once."""
    with valkey.serve(tmp_path, 0, "secret") as server, deployed(server, monkeypatch) as functions:
        assert functions.sign_up().status_code == 202
        calls: dict[str, Any] = {
            "christmas-signup": lambda: functions.sign_up({"email": "bob@example.org"}),
            "send-email": lambda: functions.send("christmas-1", 1),
            "unsubscribe": lambda: functions.client("unsubscribe").post(LINK),
            "health": lambda: functions.client("health").get("/"),
        }
        for name in calls:
            functions.client(name)
        server.process.kill()
        server.process.wait()
        slept: list[float] = []
        answers = {}
        with monkeypatch.context() as sleepless:
            sleepless.setattr("redis.retry.sleep", slept.append)
            for name, call in calls.items():
                slept.clear()
                answers[name] = call()
                assert 1.5 < sum(slept) < 10, "redis-py tries for two seconds"
        assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(calls, 503)
        assert (answers["health"].json or {})["reasons"] == ["Redis is unavailable: it does not answer"]
        assert all(int(answer.headers["Retry-After"]) > 0 for name, answer in answers.items() if name != "health")
        with valkey.serve(tmp_path, server.port, "secret"):
            assert functions.sign_up({"email": "bob@example.org"}).status_code == 202
            assert functions.run() and functions.run("bob@example.org"), "what was accepted before is still there"


def test_a_full_redis_is_503(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that refuses writes never keeps half a request, and a 202 comes only when everything is stored."""
    with valkey.serve(tmp_path) as server, deployed(server, monkeypatch) as functions:
        functions.ledger.redis.config_set("maxmemory", "1")
        answer = functions.sign_up()
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert [key for key in functions.ledger.redis.scan_iter() if not key.startswith("eg:limit:")] == []
        functions.ledger.redis.config_set("maxmemory", "0")
        assert functions.sign_up().status_code == 202


def test_a_full_ledger_can_be_unsubscribed_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the link in an email, and by what Resend reports; and health says at once what is wrong."""
    with valkey.serve(tmp_path) as server, deployed(server, monkeypatch, RESEND_WEBHOOK_SECRET=SECRET) as functions:
        functions.sign_up()
        functions.sign_up({"email": "bob@example.org"})
        functions.ledger.redis.config_set("maxmemory", "1")
        assert functions.client("unsubscribe").post(LINK).status_code == 200
        event = {
            "type": "email.complained",
            "created_at": "2026-11-30T09:00:00.000Z",
            "data": {"email_id": "1", "to": ["bob@example.org"], "tags": {}},
        }
        body = json.dumps(event).encode()
        proof = {name.replace("webhook-", "svix-"): value for name, value in signed(body).items()}
        answer = functions.client("resend-events").post("/", data=body, headers=proof, content_type="application/json")
        assert answer.status_code == 200
        states = [getattr(functions.run(email), "state", None) for email in (ADDRESS, "bob@example.org")]
        assert states == ["exited", "exited"]
        health = functions.client("health").get("/")
        assert (health.status_code, (health.json or {})["reasons"][0]) == (503, "the ledger is full")
