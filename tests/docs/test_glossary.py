"""docs/glossary.md and docs/ledger.md: every state and every script has its row, and no row names what does not exist."""

from __future__ import annotations

import re

from shared.core.stack_file import ROOT
from shared.ledger.figures import STATES
from shared.ledger.script_sources import sources

GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
LEDGER = (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[str]:
    """The first cells of the table below a heading, without backquotes."""
    section = GLOSSARY.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([a-z-]+)` \|", section, re.M)


def test_every_state_of_an_enrollment_has_its_row() -> None:
    """Those that the lists know, and tracking, which is no enrollment yet."""
    assert sorted(rows("States of an enrollment")) == sorted([*STATES, "tracking"])


def test_every_state_of_a_step_has_its_row() -> None:
    """Each state that a script gives a step, or asks for, is explained; no other is."""
    code = "\n".join(sources({}).values())
    given = re.findall(r"\bstate = '([a-z-]+)'|end_step\([^()]*, '([a-z-]+)'|finish\([^()]*, '([a-z-]+)'|s\.state [=~]= '([a-z-]+)'", code)
    states = {state for found in given for state in found if state} - {"active", "paused", "completed", "tracking", "exited"}
    assert states == set(rows("States of a step"))


def test_the_words_stand_in_order() -> None:
    """A reader finds a word where the alphabet puts it, once."""
    words = re.findall(r"^\| ([A-Za-z -]+) \|", GLOSSARY.partition("\n## ")[0], re.M)[1:]
    assert words == sorted(set(words), key=str.lower)


def test_every_script_has_its_row() -> None:
    """docs/ledger.md says of each script what it decides."""
    assert sorted(re.findall(r"\]\(\.\./shared/ledger/scripts/(\w+)\.lua\)", LEDGER)) == sorted(sources({}))
