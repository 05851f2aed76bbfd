"""`evergreen notion init|check`: the command line as an owner types it, against the sandbox's Notion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from shared.core.stack_file import ROOT
from shared.integrations.notion_values import page_id
from shared.notion.schema import SOURCES
from tests.support.sandbox_server import Sandbox, sandbox
from tests.support.waiting import WITHIN


class Owner:
    """An owner at a terminal, with settings in the environment."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box
        self.settings = {"NOTION_TOKEN": "ntn_sandbox", "NOTION_API_URL": f"{box.url}/notion"}

    def types(self, *words: str, status: int = 0) -> str:
        """Run `evergreen notion …`; returns what it printed, and expects its exit status."""
        own = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE")}
        environ = own | {"ENV_FILE": os.devnull, "COLUMNS": "200", **self.settings}
        ended = subprocess.run(
            [sys.executable, "evergreen", "notion", *words],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            timeout=WITHIN,
        )
        assert ended.returncode == status, ended.stderr
        return ended.stdout + ended.stderr

    def finds(self, status: int = 0) -> list[dict[str, str]]:
        """The problems that `check --json` finds."""
        found: list[dict[str, str]] = json.loads(self.types("check", "--json", status=status))
        return [finding for finding in found if finding["level"] != "ok"]

    def has(self, layout: str) -> dict[str, Any]:
        """Give the owner this layout, and set its ids."""
        made = self.box.seed(layout)
        for source, name in zip(SOURCES, ("contacts", "tracker", "email_log", "templates"), strict=True):
            if name in made:
                self.settings[source.setting.upper()] = made[name]["database_id"]
        return made

    def changes(self, source: str, properties: dict[str, Any]) -> None:
        """Let the owner change columns."""
        self.box.notion("PATCH", f"/data_sources/{source}", json={"properties": properties}).raise_for_status()


@pytest.fixture
def owner() -> Iterator[Owner]:
    with sandbox() as box:
        yield Owner(box)


def test_init_creates_what_is_missing_and_check_passes(owner: Owner) -> None:
    """On an empty page, four databases; their ids, put into the settings, check out; again, nothing is missing."""
    page = owner.box.seed("page")["page_id"]
    made = json.loads(
        owner.types("init", "--parent", f"https://www.notion.so/My-page-{page.replace('-', '')}?pvs=4", "--json")
    )
    assert [entry["setting"] for entry in made] == [source.setting.upper() for source in SOURCES]
    owner.settings |= {entry["setting"]: entry["id"] for entry in made}
    assert owner.finds() == []
    assert "all columns exist" in owner.types("check")
    assert "Nothing was missing." in owner.types("init", "--add")


def test_init_tells_people_what_to_set(owner: Owner) -> None:
    """Without --json the line for the settings is printed whole."""
    said = owner.types("init", "--parent", owner.box.seed("page")["page_id"])
    assert "NOTION_EMAIL_LOG_DB_ID=" in said and "Email ID, Email, Campaign" in said


def test_a_notion_from_the_earlier_builds_has_notes_and_no_fault(owner: Owner) -> None:
    """What Evergreen can do without is a note; --add adds it and changes nothing that was there."""
    owner.has("earlier-builds")
    found = owner.finds()
    assert {finding["level"] for finding in found} == {"note"}
    assert "Enrollment ID" in {finding["column"] for finding in found}
    owner.types("init", "--add")
    assert {finding["column"] for finding in owner.finds()} == {""}


def test_a_misspelled_column_is_named_with_its_fix(owner: Owner) -> None:
    """`email` for `Email` broke an earlier build; here it is a sentence."""
    made = owner.has("evergreen")
    owner.changes(
        made["tracker"]["data_source_id"], {"Email": {"name": "email"}, "Next Email At": {"name": "Next mail at"}}
    )
    email, upcoming = owner.finds(status=1)
    assert (email["level"], email["column"], email["message"]) == ("fault", "Email", "is missing, but there is 'email'")
    assert email["fix"] == "rename it to 'Email' in Notion, or set NOTION_PROPERTY_NAMES=tracker.Email=email"
    assert (upcoming["level"], upcoming["column"]) == ("note", "Next Email At")
    owner.settings["NOTION_PROPERTY_NAMES"] = "tracker.Email=email"
    assert [finding["column"] for finding in owner.finds()] == ["Next Email At"]


def test_a_column_of_the_wrong_type_is_named(owner: Owner) -> None:
    """A date cannot be kept in a number."""
    made = owner.has("evergreen")
    owner.changes(made["tracker"]["data_source_id"], {"Email 3 Sent": {"number": {}}})
    (found,) = owner.finds(status=1)
    assert (found["column"], found["fix"]) == ("Email 3 Sent", "make it date or rich_text in Notion")


@pytest.mark.parametrize(
    ("settings", "reason", "fix"),
    [
        ({"NOTION_TOKEN": "ntn_invalid"}, "401 unauthorized", "correct NOTION_TOKEN"),
        ({"NOTION_EMAIL_LOG_DB_ID": "0" * 32}, "404 object_not_found", "share the database with the integration"),
        ({"NOTION_EMAIL_LOG_DB_ID": "my database"}, "not a Notion link or id", "the 32 characters in the database's"),
        ({"NOTION_API_URL": "http://127.0.0.1:9"}, "could not be reached", "try again in a minute"),
    ],
)
def test_what_cannot_be_checked_says_why(owner: Owner, settings: dict[str, str], reason: str, fix: str) -> None:
    """A wrong token, a wrong id, a database that is not shared, no network."""
    owner.has("evergreen")
    owner.settings |= settings
    found = owner.finds(status=1)
    assert all(
        finding["level"] == "fault" and reason in finding["message"] and fix in finding["fix"] for finding in found
    )


def test_a_missing_token_and_a_missing_option_are_one_sentence(owner: Owner) -> None:
    """Neither is a traceback."""
    assert "say what to do: --parent PAGE" in owner.types("init", status=2)
    del owner.settings["NOTION_TOKEN"]
    said = owner.types("check", status=1)
    assert said.startswith("Error: missing: NOTION_TOKEN.") and "Traceback" not in said


@pytest.mark.parametrize(
    "text",
    ["0123456789abcdef0123456789ABCDEF", "https://www.notion.so/team/A-face-0123456789abcdef0123456789abcdef?v=1#x"],
)
def test_links_and_ids_are_read(text: str) -> None:
    """The id is the end of a link, regardless of what its title ends with."""
    assert page_id(text) == "0123456789abcdef0123456789abcdef"
