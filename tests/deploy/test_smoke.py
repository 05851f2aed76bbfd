"""The smoke test against real functions, and a nightly copy of a real Valkey, restored."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from local import valkey
from shared.core.stack_file import ROOT
from shared.ledger import ids
from shared.ledger.client import Ledger
from tests.support.deploy_files import DEPLOY, Desk
from tests.support.functions_client import SECRET, environment
from tests.support.own_port import own_port
from tests.support.waiting import WITHIN, until


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """The owner of a plain deployment."""
    return Desk(tmp_path)


@pytest.fixture
def evergreen(valkey_server: valkey.Valkey, redis: Redis) -> Iterator[str]:
    """All functions in their container's server, and a scheduler; its URL."""
    with own_port() as port:
        environ = {
            **os.environ,
            **environment(
                valkey_server, HOST="127.0.0.1", PORT=str(port), OPERATOR_TOKEN="operator-5c2e9a7f1b", DRAIN="0s"
            ),
            "WEBSITE_WEBHOOK_SECRET": SECRET,
            "CALCOM_WEBHOOK_SECRET": "calcom-7e4a1c9d5b",
            "CALENDLY_SIGNING_KEY": "calendly-2b8d6f0a4c",
            "RESEND_WEBHOOK_SECRET": SECRET,
            "CONSOLE_PASSWORD": "spoons and 41 teapots",
        }
        processes = [
            subprocess.Popen([sys.executable, "-m", module], cwd=ROOT, env=environ)
            for module in ("shared.serve", "scheduler.release")
        ]
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: subprocess.run(["curl", "-fsS", f"{url}/health"], capture_output=True).returncode == 0)
            yield url
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(WITHIN)


@pytest.mark.parametrize("secret", [SECRET, ""])
def test_the_smoke_test_checks_everything_and_cancels_its_run(
    evergreen: str, ledger: Ledger, desk: Desk, secret: str
) -> None:
    """Against real functions: health, a signed (or operator's) enrollment, pause, cancel; nothing is left to send."""
    ended = desk.run("smoke.sh", evergreen, OPERATOR_TOKEN="operator-5c2e9a7f1b", WEBSITE_WEBHOOK_SECRET=secret)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "All checks passed" in ended.stdout
    address = re.findall(r"forget (\S+)", ended.stdout)[0]
    run = ledger.enrollment(f"{ids.enrollment_prefix('postcall-maybe', address)}-1")
    assert run is not None
    assert run.state == "cancelled"


def test_the_smoke_test_fails_on_a_wrong_token(evergreen: str, desk: Desk) -> None:
    """A wrong token is named with its fix, and never shown."""
    ended = desk.run("smoke.sh", evergreen, OPERATOR_TOKEN="another-token", WEBSITE_WEBHOOK_SECRET=SECRET)
    assert ended.returncode == 1
    assert "run deploy/secrets.sh" in ended.stderr
    assert "another-token" not in ended.stdout + ended.stderr


def test_a_nightly_backup_is_restored(tmp_path: Path) -> None:
    """The content of an RDB file is there after a restore, and the AOF continues from it; the former data is kept
    aside."""
    with valkey.serve(tmp_path / "old", password="p") as old, Redis.from_url(old.url, password="p") as client:
        client.set("kept", "in the copy")
        client.save()
    copy = next((tmp_path / "old").glob("*.rdb"))
    with valkey.serve(tmp_path / "new", password="p") as new, Redis.from_url(new.url, password="p") as client:
        client.set("lost", "since the copy")
    for _ in range(2):
        subprocess.run(["sh", str(DEPLOY / "put-back.sh"), str(copy), str(tmp_path / "new")], check=True)
        with (
            valkey.serve(tmp_path / "new", password="p") as new,
            Redis.from_url(new.url, password="p", decode_responses=True) as client,
        ):
            assert (client.get("kept"), client.get("lost"), client.get("after")) == ("in the copy", None, None)
            client.set("after", "in the AOF")
        with (
            valkey.serve(tmp_path / "new", password="p") as new,
            Redis.from_url(new.url, password="p", decode_responses=True) as client,
        ):
            assert client.get("after") == "in the AOF"
    assert list((tmp_path / "new").glob("before-*"))


def test_a_file_that_is_not_a_backup_is_not_restored(tmp_path: Path) -> None:
    """A wrong file changes nothing."""
    (tmp_path / "wrong.rdb").write_text("something else")
    (tmp_path / "data" / "appendonlydir").mkdir(parents=True)
    ended = subprocess.run(
        ["sh", str(DEPLOY / "put-back.sh"), str(tmp_path / "wrong.rdb"), str(tmp_path / "data")],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert "is not a backup" in ended.stderr
    assert [entry.name for entry in (tmp_path / "data").iterdir()] == ["appendonlydir"]
