"""docs/reliability.md: each failure names tests that exist, and each test of a failure is named there."""

from __future__ import annotations

import re

import pytest

from shared.core.stack_file import ROOT
from shared.operations.alert_texts import CAUSES

PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
FAILURES = PAGE.partition("\n## The chaos run")[0]  # its table has another format
ROWS = [line for line in FAILURES.splitlines() if line.startswith("| ") and not line.startswith("| what happens |")]
LINK = re.compile(r"\[([a-z0-9 ]+)\]\(\.\./tests/([a-z_/]+\.py)\)")
OWN = sorted(f"system/{path.name}" for path in (ROOT / "tests" / "system").glob("test_failures_*.py"))


def names_in(file: str) -> set[str]:
    """The names of a file's tests, in words."""
    source = (ROOT / "tests" / file).read_text(encoding="utf-8")
    return {name.replace("_", " ") for name in re.findall(r"^ *def test_(\w+)\(", source, re.MULTILINE)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split(" | ")[0].removeprefix("| ")[:60])
def test_a_failure_names_tests_that_exist(row: str) -> None:
    """Each row has its five cells, and its last one leads to tests by their names."""
    cells = row.strip("| ").split(" | ")
    assert len(cells) == 5
    named = LINK.findall(cells[4])
    assert named and LINK.sub("", cells[4]).strip("; ") == ""
    assert [f"{file}: {words}" for words, file in named if words not in names_in(file)] == []


@pytest.mark.parametrize("file", OWN)
def test_no_failure_is_left_out(file: str) -> None:
    """Every failure that is tested is on the page."""
    assert names_in(file) - {words for words, named in LINK.findall(PAGE) if named == file} == set()


def test_messages_are_named_by_their_titles() -> None:
    """The words in bold in a row are titles of messages, and none is missing."""
    assert set(re.findall(r"\*\*(.+?)\*\*", "\n".join(ROWS))) == {cause.title for cause in CAUSES.values()}
