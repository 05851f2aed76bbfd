"""`evergreen templates …` as an owner types it, against the sandbox's Notion and Resend and a real Valkey."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from local import valkey
from shared.core.stack_file import ROOT
from shared.ledger.client import Ledger
from tests.conftest import Clock
from tests.support.owners_desk import OwnersDesk
from tests.support.sandbox_server import sandbox
from tests.support.waiting import WITHIN
from tests.support.world import World

CAMPAIGN = """slug: hello
name: Hello
trigger: hello
late: {after: 1h, policy: send}
steps:
  - {number: 1, after: 0h, template: hello_1}
  - {number: 2, after: 1h, template: hello_2}
"""
FIRST = 'Subject: One\nPreview: Soon\n\nHi {{ first_name | default("there") }},\n\n[Book]({{ booking_url }})\n'
SECOND = "Subject: Two\n\nYou have {{ red_systems }} red systems.\n"


class Terminal:
    """An owner at a terminal, with settings in the environment and two emails in a folder."""

    def __init__(self, desk: OwnersDesk, server: valkey.Valkey, folder: Path) -> None:
        self.desk, self.folder = desk, folder / "hello"
        self.folder.mkdir()
        (self.folder / "campaign.yaml").write_text(CAMPAIGN)
        self.file("hello_1", FIRST)
        self.file("hello_2", SECOND)
        self.settings = {
            "NOTION_TOKEN": "ntn_sandbox",
            "NOTION_API_URL": f"{desk.box.url}/notion",
            "NOTION_TEMPLATES_DB_ID": desk.made["templates"]["database_id"],
            "NOTION_RATE": "1000",
            "REDIS_URL": server.url,
            "REDIS_PASSWORD": server.password,
            "CAMPAIGNS_DIR": str(folder),
            "RESEND_API_KEY": "re_sandbox",
            "RESEND_API_URL": f"{desk.box.url}/resend",
            "RESEND_FROM_EMAIL": "Evergreen <hello@example.org>",
        }

    def file(self, template: str, source: str) -> None:
        """Write a template's file."""
        (self.folder / f"{template}.md").write_text(source)

    def types(self, *words: str, status: int = 0) -> str:
        """Run `evergreen templates …`; returns what it printed, and expects its exit status."""
        own = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE")}
        environ = own | {"ENV_FILE": os.devnull, "COLUMNS": "200", **self.settings}
        command = [sys.executable, "evergreen", "templates", *words]
        ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=WITHIN)
        assert ended.returncode == status, ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
        return ended.stdout + ended.stderr

    def outcome(self, *words: str, status: int = 0) -> dict[str, str]:
        """The outcome for each template, by its name."""
        return {entry["name"]: entry["what"] for entry in json.loads(self.types(*words, "--json", status=status))}

    def pages(self) -> dict[str, dict[str, Any]]:
        """The rows in Notion by Template ID."""
        rows = self.desk.box.get("/notion.json")[self.desk.made["templates"]["name"]]
        return {row["properties"]["Template ID"]: row for row in rows}


@pytest.fixture
def terminal(redis: Redis, valkey_server: valkey.Valkey, tmp_path: Path) -> Iterator[Terminal]:
    with sandbox() as box:
        yield Terminal(OwnersDesk(World(Ledger(redis), Clock()), box), valkey_server, tmp_path)


def test_push_creates_rows_and_keeps_the_owners_edits(terminal: Terminal) -> None:
    """Created once; then unchanged; a changed file updates; an edit is kept, unless forced; a dry run writes
    nothing."""
    assert set(terminal.outcome("push", "--dry-run").values()) == {"created"} and terminal.pages() == {}
    assert terminal.outcome("push") == {"hello/hello_1": "created", "hello/hello_2": "created"}
    row = terminal.pages()["hello_1"]
    assert row["properties"] == row["properties"] | {
        "Campaign": "Hello",
        "Subject": "One",
        "Preview": "Soon",
        "Status": "Live",
    }
    assert terminal.outcome("push") == {"hello/hello_1": "unchanged", "hello/hello_2": "unchanged"}
    terminal.file("hello_1", FIRST.replace("One", "Uno"))
    assert terminal.outcome("push")["hello/hello_1"] == "updated"
    assert terminal.pages()["hello_1"]["properties"]["Subject"] == "Uno"
    terminal.desk.rewrites(row["id"], "My own words.")
    assert "edited in Notion; --force overwrites it with the file" in terminal.types("push")
    assert terminal.outcome("push", "--force") == {"hello/hello_1": "updated", "hello/hello_2": "unchanged"}
    assert len(terminal.pages()) == 2


def test_pushed_texts_are_pulled_unchanged(terminal: Terminal) -> None:
    """The round trip through Notion changes nothing."""
    terminal.types("push")
    assert terminal.outcome("pull") == {"hello/hello_1": "adopted", "hello/hello_2": "adopted"}
    shown = json.loads(terminal.types("preview", "hello_1", "--json"))
    assert (shown["from"], shown["subject"], shown["preview"]) == ("notion", "One", "Soon")
    assert shown["text"].startswith("Hi Maria,\n\nBook: https://cal.com")


def test_pull_adopts_the_owners_texts_and_reports_faults(terminal: Terminal) -> None:
    """Names from the earlier builds are mapped; a row that is not an email, a draft and a bad one are reported."""
    terminal.desk.writes(r"Hi \{\{firstName\}\}, \{\{calendlyLink\}\}", template="hello_1")
    terminal.desk.writes(r"Hi \{\{ nobody \}\}", template="hello_2")
    terminal.desk.writes("Notes", template="ideas", Status="Draft")
    said = terminal.types("pull", status=1)
    assert "hello/hello_1  adopted" in said and "there is no placeholder 'nobody'" in said and "not live" in said
    assert "Hi Maria, https://cal.com" in terminal.types("preview", "hello/hello_1")
    assert "There are no rows yet" not in said


def test_lint_names_file_and_line(terminal: Terminal) -> None:
    """All faults at once, in files and, if requested, in Notion."""
    assert "All 2 emails are OK." in terminal.types("lint")
    terminal.file("hello_1", FIRST.replace("first_name", "frist_name"))
    terminal.file("hello_2", SECOND.replace("red_systems", "score"))
    terminal.desk.writes("", template="hello_2", Status="Draft")
    first, second = json.loads(terminal.types("lint", "--json", status=1))
    assert first.startswith("hello/hello_1.md:4: there is no placeholder 'frist_name'") and second.startswith(
        "hello/hello_2.md:3: "
    )
    assert "Notion, hello_2: the page is empty; write the email on it" in terminal.types("lint", "--notion", status=1)


def test_preview_shows_writes_and_sends(terminal: Terminal, tmp_path: Path) -> None:
    """For the requested segment; a test email is marked, and goes to the given address."""
    assert "You have 3 red systems." in terminal.types("preview", "hello_2")
    out = tmp_path / "email.html"
    said = terminal.types(
        "preview", "hello_2", "--segment", "optimize", "--out", str(out), "--send-to", "owner@example.org"
    )
    assert "You have 0 red systems." in said and "Sent; its Resend ID is" in said
    assert "You have 0 red systems." in out.read_text()
    (email,) = terminal.desk.box.outbox()
    assert (email["subject"], email["to"]) == ("[Test] Two", ["owner@example.org"])
    assert "cannot be written" in terminal.types(
        "preview", "hello_2", "--out", str(tmp_path / "no" / "x.html"), status=1
    )


@pytest.mark.parametrize(
    ("words", "changes", "sentence"),
    [
        (("push",), {"NOTION_TOKEN": ""}, "missing: NOTION_TOKEN."),
        (("pull",), {"NOTION_TEMPLATES_DB_ID": ""}, "missing: NOTION_TEMPLATES_DB_ID."),
        (("pull",), {"NOTION_TOKEN": "ntn_invalid"}, "401 unauthorized"),
        (("push",), {"REDIS_URL": "redis://127.0.0.1:9/0"}, "Redis does not answer"),
        (("lint",), {"CAMPAIGNS_DIR": "/nowhere"}, "no such folder"),
        (("preview", "hello"), {}, "no campaign has an email 'hello'; did you mean hello_"),
        (("preview", "hello_1", "--send-to", "a@example.org"), {"RESEND_API_KEY": ""}, "missing: RESEND_API_KEY."),
    ],
)
def test_a_failure_is_one_sentence(
    terminal: Terminal, words: tuple[str, ...], changes: dict[str, str], sentence: str
) -> None:
    """Never a traceback."""
    terminal.settings |= changes
    assert sentence in terminal.types(*words, status=1)


def test_a_preview_needs_no_redis(terminal: Terminal) -> None:
    """It shows the file then."""
    terminal.settings["REDIS_URL"] = "redis://127.0.0.1:9/0"
    assert json.loads(terminal.types("preview", "hello_1", "--json"))["from"] == "file"
