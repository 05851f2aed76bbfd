"""The owner's real accounts, for `make test-live`: settings as the commands read them, and everything that was made is
removed again."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from dotenv import load_dotenv

from shared.core import settings
from shared.core.errors import NotionError, SendError
from shared.core.settings import Settings
from shared.core.stack_file import ROOT
from shared.integrations.notion import Notion
from shared.integrations.resend import Resend
from shared.notion.data_sources import locate
from shared.notion.schema import SOURCES, Source

WITHIN = 30  # seconds, for what Notion's search and Resend's list show a little later
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Mail:
    """The owner's Resend, and who gets the test emails."""

    provider: Resend
    sender: str
    recipient: str

    def ask(self, call: Callable[[], Answer]) -> Answer:
        """Ask Resend, again when it says that requests came too often."""
        for _ in range(5):
            try:
                return call()
            except SendError as error:
                if error.kind != "rate":
                    raise
                time.sleep(error.retry_after or 1)
        return call()


@dataclass(frozen=True)
class Workspace:
    """The owner's Notion; every page in `made` goes to the trash after the test, even after a failure."""

    notion: Notion
    settings: Settings
    made: list[str] = field(default_factory=list)

    def source(self, source: Source) -> str:
        """The id of one of the owner's data sources."""
        return locate(self.notion, source, self.settings)

    def find(self, source: str, keys: dict[str, str], *, there: bool = True) -> str | None:
        """The page that a search finds, when it should be there (or not) within the time that Notion takes."""
        deadline = time.monotonic() + WITHIN
        while bool(found := self.notion.find(source, keys)) != there and time.monotonic() < deadline:
            time.sleep(1)
        return found


@pytest.fixture(scope="session")
def found() -> Settings:
    """The settings, from the environment and from .env."""
    load_dotenv(os.environ.get("ENV_FILE", ROOT / ".env"))
    return settings.load()


def needs(found: Settings, *names: str) -> None:
    """Skip the test where one of these settings, or LIVE_TEST_EMAIL, has no value."""
    missing = [
        name
        for name in names
        if not (os.environ.get(name) if name == "LIVE_TEST_EMAIL" else getattr(found, name.lower()))
    ]
    if missing:
        pytest.skip(f"not set: {', '.join(missing)}. docs/live.md says what for")


@pytest.fixture
def mail(found: Settings) -> Mail:
    """Resend, with the owner's key."""
    needs(found, "RESEND_API_KEY", "RESEND_FROM_EMAIL", "LIVE_TEST_EMAIL")
    return Mail(
        Resend(found.resend_api_key, found.resend_api_url), found.resend_from_email, os.environ["LIVE_TEST_EMAIL"]
    )


@pytest.fixture
def workspace(found: Settings) -> Iterator[Workspace]:
    """Notion, with the owner's token."""
    needs(found, "NOTION_TOKEN", *(source.setting.upper() for source in SOURCES))
    space = Workspace(
        Notion(found.notion_token, found.notion_api_url, turn=lambda: time.sleep(1 / found.notion_rate)), found
    )
    yield space
    left = []
    for page in reversed(space.made):
        try:
            space.notion.trash(page)
        except NotionError as error:
            if error.kind != "gone":
                left.append(f"{page}: {error}")
    assert not left, f"these pages are still in Notion; move them to the trash by hand: {left}"


@pytest.fixture
def marked() -> str:
    """A name that nothing else has, for what this test makes."""
    return f"evergreen-live-{secrets.token_hex(6)}"


def evergreen(*words: str, **changes: str) -> Any:
    """What a command of `evergreen` prints as JSON, with the owner's settings and these changes."""
    command = [sys.executable, "evergreen", *words, "--json"]
    files = {f"{name}_FILE": "" for name in changes}  # which would win over what is set here
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **files, **changes}, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout)
