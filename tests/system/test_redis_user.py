"""A Redis whose user may do only some things (ACL): the whole stack with the rights that docs/deploy.md names, and with
fewer."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from redis import Redis

from local.trial import Trial, running
from shared.core.stack_file import ROOT
from tests.support.waiting import WITHIN, until

WITHOUT_INFO = ["~*", "&*", "+@all", "-@dangerous"]
DOCUMENTED = re.search(
    r"^ACL SETUSER evergreen on >\S+ (.+)$", (ROOT / "docs/deploy.md").read_text("utf-8"), re.MULTILINE
)
USERS = ("gateway", "scheduler", "worker", "recorder", "notifier", "dashboard")
ADA = {"email": "ada@example.org", "first_name": "Ada", "red_systems": 2}


@contextmanager
def limited(directory: Path, rights: list[str]) -> Iterator[tuple[Trial, Redis]]:
    """A stack that starts again with these rights, and a client that may do everything."""
    with running(directory) as run:
        password = (directory / "secrets" / "redis-password").read_text().strip()
        run.redis().acl_setuser(
            "admin", enabled=True, passwords=["+all"], keys=["*"], channels=["*"], commands=["+@all"]
        )
        with Redis(
            port=run.redis().connection_pool.connection_kwargs["port"], username="admin", password="all"
        ) as admin:
            allow(admin, password, rights)
            admin.acl_log_reset()
            before = run.pids()
            for name in USERS:
                os.kill(before[name], signal.SIGKILL)
            until(lambda: all(run.pids()[name] != before[name] for name in USERS))
            yield run, admin


def allow(admin: Redis, password: str, rights: list[str]) -> None:
    """Give the stack's user exactly these rights."""
    admin.execute_command("ACL", "SETUSER", "default", "reset", "on", f">{password}", *rights)  # type: ignore[no-untyped-call]  # shipped without types


def evergreen(run: Trial, *words: str) -> subprocess.CompletedProcess[str]:
    """A command of the owner's."""
    environ = {"PATH": os.environ["PATH"], "ENV_FILE": os.devnull, "LOCAL_DIR": str(run.directory)}
    command = [sys.executable, "evergreen", *words]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=WITHIN)


def health(run: Trial) -> list[str]:
    """What health finds wrong."""
    try:
        return list(requests.get(f"{run.url}/health", timeout=WITHIN).json()["reasons"])
    except requests.ConnectionError:
        return ["no gateway"]


def logs(run: Trial) -> str:
    """Of all parts."""
    return "".join(path.read_text() for path in (run.directory / "logs").glob("*.log"))


def test_the_documented_rights_are_enough(tmp_path: Path) -> None:
    """Functions, scheduler, workers, dashboard and commands do all that they do, and Redis denies none of it."""
    assert DOCUMENTED
    with limited(tmp_path, DOCUMENTED[1].split()) as (run, admin):
        until(lambda: health(run) == [])
        assert run.sign_up(ADA) == 202
        until(lambda: run.outbox_count() >= 2)
        for words in (["doctor"], ["show", ADA["email"]], ["verify"], ["restore", "--dry-run"], ["fence"]):
            assert evergreen(run, *map(str, words)).stderr == "", words
        assert "appendonlydir" not in evergreen(run, "forget", str(ADA["email"]), "--yes").stdout
        dashboard = json.loads((tmp_path / "pids.json").read_text())["dashboard"]["port"]
        login = ("evergreen", (tmp_path / "secrets" / "console-password").read_text().strip())
        for page in ("queues", "workers", "jobs/send/scheduled/8/asc/1"):
            shown = requests.get(f"http://127.0.0.1:{dashboard}/0/data/{page}.json", auth=login, timeout=WITHIN)
            assert shown.status_code == 200, page
        assert admin.acl_log() == []
    assert "Traceback" not in logs(run)


def test_without_info_it_says_so_and_goes_on_when_allowed(tmp_path: Path) -> None:
    """Sign-ups are accepted and nothing is sent; health, doctor and the log name the command; nothing dies."""
    with limited(tmp_path, WITHOUT_INFO) as (run, admin):
        until(lambda: health(run) == ["Redis does not let its user run INFO: allow +info"])
        assert run.sign_up(ADA) == 202
        assert "does not let its user run INFO" in evergreen(run, "doctor").stdout
        assert "does not let its user run INFO; allow it" in evergreen(run, "fence").stderr
        until(lambda: "poll.unavailable" in logs(run))  # the fence's lock of the killed scheduler has to expire
        pids = run.pids()
        admin.execute_command("ACL", "SETUSER", "default", "+info")  # type: ignore[no-untyped-call]  # shipped without types
        until(lambda: run.outbox_count() >= 1)
        assert run.pids() == pids
    assert "Traceback" not in logs(run)
    assert 0 < logs(run).count("poll.unavailable") <= 2, "each poll that needs INFO logs it once"
