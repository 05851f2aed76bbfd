"""docs/security.md claims nothing without a test: each row of its table of threats names tests that exist, and each
secret has its row."""

from __future__ import annotations

import ast
import re

import pytest

from shared.core.stack_file import ROOT
from tests.house.test_sources import TestPlaces

DOCUMENT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of each row of the table below a heading."""
    section = DOCUMENT.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("threat", rows("Threats"), ids=lambda row: str(row[0])[:60])
def test_a_threat_names_tests_that_exist(threat: list[str]) -> None:
    """At least one, each by its file and its function."""
    _, _, shown = threat
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", shown)
    assert named and len(named) == shown.count("`") // 2, "a test is named as tests/folder/test_file.py::test_name"
    for file, test in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, (
            f"{file} has no {test}"
        )


def test_every_secret_can_be_changed() -> None:
    """The table of secrets is complete."""
    assert {row[0].strip("`") for row in rows("Secrets")} == TestPlaces.SECRETS
