"""What the documents say must be true: settings, links, commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared.core.settings import Settings
from shared.core.stack_file import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
FOLDERS = ("benchmarks", "commands", "docs", "functions", "local", "scheduler", "shared", "tests", "tools")
LOCAL_ONLY = {
    "SANDBOX_PORT",
    "VALKEY_PORT",
    "LOCAL_DIR",
    "SEND_WORKERS",
    "SANDBOX_RESEND_WEBHOOK_URL",
    "RESEND_WEBHOOK_SECRET",
}


def test_every_setting_is_in_the_example() -> None:
    """`.env.example` names each setting, once, and none that does not exist."""
    named = re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert sorted(named) == sorted({name.upper() for name in Settings.model_fields} | LOCAL_ONLY)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    """A link to a file of the project names one that exists."""
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_files_exist(document: Path) -> None:
    """A file or folder of the project that a document names by its path is there; a <name> stands for any."""
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w<>./-]*)", document.read_text())
    assert [path for path in named if not list(ROOT.glob(re.sub(r"<\w+>", "*", path)))] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_commands_exist(document: Path) -> None:
    """A document names no make target that is not there."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", document.read_text())) <= targets


def test_every_requirement_has_its_reason() -> None:
    """The README gives the reason for each library that the image installs."""
    table = (ROOT / "README.md").read_text().split("## What it is built on")[1].lower()
    for line in (ROOT / "requirements.in").read_text().splitlines():
        if name := re.match(r"[a-z][a-z0-9-]*", line):
            assert name[0] in table, name[0]
