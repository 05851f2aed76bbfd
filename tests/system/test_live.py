"""`make test-live`, with the sandbox in place of the real accounts: it works, it cleans up, and without settings it
contacts no one."""

from __future__ import annotations

import os
import subprocess
import sys

from shared.core.stack_file import ROOT
from shared.notion.schema import SOURCES
from tests.support.sandbox_server import sandbox
from tests.support.waiting import WITHIN

LAYOUT = ("contacts", "tracker", "email_log", "templates")


def live(**settings: str) -> str:
    """Run the live tests with these settings and no others; returns what pytest printed."""
    own = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME") or name.startswith("COVERAGE")}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-o",
        "python_files=live_*.py",
        "-rs",
        "tests/live",
    ]
    environ = own | {"ENV_FILE": os.devnull, "COLUMNS": "200"} | settings
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=WITHIN)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_it_passes_and_leaves_one_email_and_no_row() -> None:
    """Every test passes; what they made in Notion is in the trash, and the recipient has a single email."""
    with sandbox() as box:
        made = box.seed()
        databases = {
            source.setting.upper(): made[name]["database_id"] for source, name in zip(SOURCES, LAYOUT, strict=True)
        }
        said = live(
            RESEND_API_KEY="re_sandbox",
            RESEND_API_URL=f"{box.url}/resend",
            RESEND_FROM_EMAIL="Evergreen <hello@example.org>",
            LIVE_TEST_EMAIL="owner@example.org",
            NOTION_TOKEN="ntn_sandbox",
            NOTION_API_URL=f"{box.url}/notion",
            NOTION_RATE="1000",
            **databases,
        )
        assert "6 passed" in said and "skipped" not in said
        assert [email["to"] for email in box.outbox()] == [["owner@example.org"]]
        left = {
            name: rows for name, rows in box.get("/notion.json").items() if not all(row["in_trash"] for row in rows)
        }
        assert left == {}


def test_without_settings_it_says_what_is_missing() -> None:
    """Every test is skipped, each with its reason."""
    said = live()
    assert "6 skipped" in said
    assert "not set: RESEND_API_KEY, RESEND_FROM_EMAIL, LIVE_TEST_EMAIL" in said
