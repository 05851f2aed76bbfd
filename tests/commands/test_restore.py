"""`evergreen restore`, `fence` and `verify` as an owner types them, against the sandbox and a real Valkey."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import pytest
from redis import Redis

from local import valkey
from shared.core.stack_file import ROOT
from shared.ledger import ids
from shared.ledger.client import Ledger
from tests.conftest import Clock
from tests.support.lost_ledger import LostLedger
from tests.support.sandbox_server import Sandbox
from tests.support.waiting import WITHIN


class Terminal:
    """An owner at a terminal, after a day of Evergreen and the loss of its Redis; on the real clock, like the
    command."""

    def __init__(self, lost: LostLedger, server: valkey.Valkey) -> None:
        self.lost = lost
        settings = lost.settings
        self.settings = {
            "NOTION_TOKEN": "ntn_sandbox",
            "NOTION_API_URL": f"{lost.box.url}/notion",
            "NOTION_RATE": "1000",
            "NOTION_EMAIL_SEQUENCE_DB_ID": settings.notion_email_sequence_db_id,
            "NOTION_BUSINESSX_DB_ID": settings.notion_businessx_db_id,
            "NOTION_EMAIL_LOG_DB_ID": settings.notion_email_log_db_id,
            "RESEND_API_KEY": "re_sandbox",
            "RESEND_API_URL": f"{lost.box.url}/resend",
            "RESEND_FROM_EMAIL": "Evergreen <hello@example.org>",
            "REDIS_URL": server.url,
            "REDIS_PASSWORD": server.password,
        }

    def types(self, *words: str, status: int = 0, answer: str = "") -> str:
        """Run `evergreen …`; returns what it printed, and expects its exit status."""
        own = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE")}
        environ = own | {"ENV_FILE": os.devnull, "COLUMNS": "160", **self.settings}
        command = [sys.executable, "evergreen", *words]
        ended = subprocess.run(
            command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=WITHIN, input=answer
        )
        assert ended.returncode == status, ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
        return ended.stdout if status == 0 else ended.stdout + ended.stderr

    def says(self, *words: str, status: int = 0) -> Any:
        """What it printed as JSON."""
        return json.loads(self.types(*words, "--json", status=status))


@pytest.fixture
def lost(redis: Redis, box: Sandbox) -> LostLedger:
    clock = Clock(round(time.time() * 1000))
    return LostLedger(Ledger(redis, clock=clock), clock, box)


@pytest.fixture
def run(lost: LostLedger) -> str:
    """A run whose first email was sent and recorded, before its ledger was lost."""
    run = lost.world.sign_up()
    lost.world.work()
    lost.record()
    lost.lose()
    return run


@pytest.fixture
def terminal(lost: LostLedger, run: str, valkey_server: valkey.Valkey) -> Terminal:
    return Terminal(lost, valkey_server)


def keys(lost: LostLedger) -> list[str]:
    """What Redis holds, except the turns at a provider."""
    return [key for key in lost.ledger.redis.scan_iter() if not key.startswith(("eg:turns", "eg:hold"))]


def test_a_dry_run_says_what_a_restore_would_do(terminal: Terminal, lost: LostLedger) -> None:
    """The numbers, what cannot be known, and that nothing was written."""
    report = terminal.says("restore", "--dry-run")
    assert (report["runs"], report["steps"], report["in_doubt"]) == ({"restored": 1}, {"sent": 1, "scheduled": 6}, [])
    printed = terminal.types("restore", "--dry-run")
    assert "enrollments that continue" in printed and "dry run" in printed and "cannot be restored" in printed
    assert keys(lost) == []


def test_a_restore_asks_and_then_sends_again(terminal: Terminal, lost: LostLedger, run: str) -> None:
    """After no, nothing has changed; after yes, the fence is held, and all sources agree on the ledger."""
    assert "Aborted" in terminal.types("restore", answer="n\n", status=1)
    assert keys(lost) == []
    assert "taken the fence" in terminal.types("restore", answer="y\n")
    assert lost.world.states(run) == ["sent"] + ["scheduled"] * 6
    assert terminal.says("fence")["holds"] is True
    assert terminal.says("verify")["findings"] == []
    assert terminal.says("restore", "--yes")["runs"] == {"exists": 1}
    lost.clock.advance(hours=24.1)
    lost.world.work()
    assert lost.sent() == {f"{run}-1": 1, f"{run}-2": 1}


def test_it_reports_people_who_signed_up_again_since(terminal: Terminal, lost: LostLedger, run: str) -> None:
    """A person who signed up again continues where they were; the dry run says so, too."""
    lost.fence.poll()
    lost.world.sign_up()
    for how in ("--dry-run", "--yes"):
        printed = terminal.types("restore", how)
        assert "1  new enrollments discarded" in printed and "1  enrollments that continue" in printed
        assert f"the lost one of that id replaces it\n    {run}" in printed
    assert lost.world.states(run) == ["sent"] + ["scheduled"] * 6


def test_the_fence_gives_its_reason_and_lets_a_person_decide(terminal: Terminal, lost: LostLedger) -> None:
    """An empty Redis beside a tracker with rows waits; `--fresh` starts over."""
    assert "not checked yet" in terminal.types("fence", status=1)
    lost.fence.poll()
    assert "evergreen restore" in terminal.types("fence", status=1)
    assert "Aborted" in terminal.types("fence", "--fresh", answer="n\n", status=1)
    assert terminal.says("fence", "--fresh", "--yes")["why"] is None
    assert "may send" in terminal.types("fence")
    assert "not both" in terminal.types("fence", "--fresh", "--take-over", status=2)


def test_verify_fixes_and_exits_with_a_status(terminal: Terminal, lost: LostLedger, run: str) -> None:
    """1 while something remains; the recorder writes a missing mark again."""
    terminal.types("restore", "--yes")
    lost.record()
    (row,) = lost.rows("tracker")
    lost.change(row["id"], Email_1_Sent={"date": None})
    assert "--fix fixes it" in terminal.types("verify", status=1)
    assert [found["fixed"] for found in terminal.says("verify", "--fix")["findings"]] == [True]
    lost.record()
    assert lost.rows("tracker")[0]["Email 1 Sent"]
    assert "Everything agrees" in terminal.types("verify", "--fix"), "the older spelling of --fix"


def test_verify_puts_back_an_email_on_no_list(terminal: Terminal, lost: LostLedger, run: str) -> None:
    """It says so first, with the command that does it."""
    terminal.types("restore", "--yes")
    lost.record()
    lost.ledger.redis.zrem(ids.OPEN, f"{run}-2")
    (found,) = terminal.says("verify", status=1)["findings"]
    assert (found["kind"], found["what"], found["fixable"], found["fixed"]) == ("gap", f"{run}-2", True, False)
    assert [found["fixed"] for found in terminal.says("verify", "--fix")["findings"]] == [True]
    lost.record()
    assert terminal.says("verify")["findings"] == []


def test_without_notion_there_is_nothing_to_restore_from(terminal: Terminal) -> None:
    """The missing settings are named."""
    del terminal.settings["NOTION_TOKEN"]
    assert "NOTION_TOKEN" in terminal.types("restore", "--yes", status=1)
