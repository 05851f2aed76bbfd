"""`evergreen migrate`: what it prints, what it asks, and how it ends; and what every command says about a newer
ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis

from commands import main
from local import valkey
from shared.ledger import ids, migrations, version
from shared.ledger.client import Ledger
from shared.ledger.migrations import AT_WORK, LOCK, Migration, migrate
from shared.ledger.version import VERSION
from tests.support.functions_client import ADDRESS, NOWHERE, Functions, deployed, fresh_services

RUN = f"{ids.enrollment_prefix('christmas', ADDRESS)}-1"
NOTION = {
    "NOTION_TOKEN": "ntn_test",
    "NOTION_API_URL": NOWHERE,
    "NOTION_TEMPLATES_DB_ID": "1" * 32,
    "NOTION_EMAIL_SEQUENCE_DB_ID": "2" * 32,
}


@pytest.fixture
def functions(redis: Redis, valkey_server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """Ada has signed up."""
    monkeypatch.setenv("ENV_FILE", "no-such-file")
    monkeypatch.setenv("COLUMNS", "200")
    with deployed(valkey_server, monkeypatch) as ready:
        ready.sign_up()
        yield ready


@pytest.fixture
def next_release(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of a release that knows a second version, in which each enrollment has a mark of its own."""

    def mark(ledger: Ledger, cursor: int) -> tuple[int, int]:
        return 0, ledger.redis.hset(ids.enrollment_key(RUN), "made-up", "1")

    monkeypatch.setattr(version, "VERSION", 2)
    monkeypatch.setattr(migrations, "MIGRATIONS", (Migration(2, "every enrollment has a mark", mark),))
    fresh_services()


def test_this_release_has_no_migration(functions: Functions, redis: Redis) -> None:
    """It has no migration yet: there is nothing to ask or to do, and doctor does not mention one."""
    said = evergreen("migrate")
    assert (said.exit_code, said.output) == (0, "The ledger has version 1 and needs no migration.\n")
    assert "migrat" not in evergreen("doctor").output
    assert (redis.get(ids.VERSION), redis.exists(AT_WORK, LOCK)) == ("1", 0)


def evergreen(*words: str, answer: str | None = None) -> Result:
    """Run a command."""
    fresh_services()
    return CliRunner().invoke(main, words, input=answer)


def test_it_asks_for_a_backup_and_reports_what_it_did(next_release: None, redis: Redis) -> None:
    """Answering no changes nothing. Once it is done, there is nothing more to ask."""
    asked = evergreen("migrate", answer="n\n")
    assert asked.exit_code == 1 and redis.get(ids.VERSION) == "1"
    for words in (
        "version 1",
        "2: every enrollment has a mark",
        "make backup",
        "cronjob/valkey-backup",
        "Have you made a backup?",
    ):
        assert words in asked.output
    done = evergreen("migrate", answer="y\n")
    assert done.exit_code == 0, done.output
    assert "2 is done: 1 changed." in done.output and "The ledger has version 2." in done.output
    assert redis.hget(ids.enrollment_key(RUN), "made-up") == "1"
    again = evergreen("migrate")
    assert (again.exit_code, again.output) == (0, "The ledger has version 2 and needs no migration.\n")


def test_it_prints_json_for_programs(next_release: None) -> None:
    """With --yes it asks nothing."""
    said: list[Any] = [json.loads(evergreen("migrate", "--yes", "--json").stdout) for _ in range(2)]
    assert said[0] == {"before": 1, "version": 2, "waiting": [2], "changed": {"2": 1}}
    assert said[1] == {"before": 2, "version": 2, "waiting": [], "changed": {}}


def test_an_older_worker_is_named(next_release: None, redis: Redis) -> None:
    """One sentence says which, and what to do; exit status 1, and nothing was changed."""
    redis.sadd(ids.WORKERS, "rq:worker:box-1")
    redis.hset("rq:worker:box-1", "birth", "now")
    refused = evergreen("migrate", "--yes")
    assert refused.exit_code == 1 and "worker box-1. Stop them, or restart them with this release" in refused.output
    assert redis.get(ids.VERSION) == "1"


def test_doctor_names_the_command(next_release: None, redis: Redis) -> None:
    """Before it, when it broke off, and not afterwards."""

    def noted() -> list[tuple[str, str]]:
        found = json.loads(evergreen("doctor", "--json").stdout)
        return [(finding["message"], finding["fix"]) for finding in found if "migrat" in finding["message"]]

    backup = "make a backup, then run `evergreen migrate`"
    assert noted() == [("waits for 1 migration; everything works until then", backup)]
    redis.hset(AT_WORK, mapping={"number": 2, "cursor": 0, "changed": 0, "server": ""})
    assert noted() == [("its migration is running, or was interrupted", backup)]
    assert "2, which was interrupted: every enrollment" in evergreen("migrate", answer="n\n").output
    list(migrate(Ledger(redis)))
    assert noted() == []


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["show", RUN],
        ["cancel", RUN, "--yes"],
        ["stop-sending"],
        ["start-sending"],
        ["suppress", ADDRESS],
        ["forget", ADDRESS, "--yes"],
        ["export", ADDRESS],
        ["migrate", "--yes"],
        ["fence"],
        ["fence", "--take-over", "--yes"],
        ["restore", "--yes"],
        ["verify", "--fix"],
        ["templates", "push"],
        ["templates", "pull"],
    ],
    ids=" ".join,
)
def test_every_command_refuses_a_newer_ledger(
    functions: Functions, redis: Redis, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """One sentence and exit status 1; nothing changes, regardless of the command."""
    for name, value in NOTION.items():
        monkeypatch.setenv(name, value)
    fresh_services()
    redis.set(ids.VERSION, VERSION + 1)
    before = {key: redis.dump(key) for key in redis.scan_iter()}
    result = evergreen(*words)
    assert result.exit_code == 1
    assert (
        f"Error: the ledger has version {VERSION + 1}, and this program reads up to {VERSION}; run the release"
        in result.output
    )
    assert {key: redis.dump(key) for key in redis.scan_iter()} == before
