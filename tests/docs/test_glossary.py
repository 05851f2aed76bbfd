"""docs/glossary.md and docs/ledger.md: the words are in order, and every script has its row."""

from __future__ import annotations

import re

from shared.core.stack_file import ROOT
from shared.ledger.script_sources import sources

GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
LEDGER = (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8")


def test_the_words_are_in_order() -> None:
    """Each word is in alphabetical order, once."""
    words = re.findall(r"^\| ([A-Za-z -]+) \|", GLOSSARY.partition("\n## ")[0], re.M)[1:]
    assert words == sorted(set(words), key=str.lower)


def test_every_script_has_its_row() -> None:
    """docs/ledger.md says what each script decides."""
    assert sorted(re.findall(r"\]\(\.\./shared/ledger/scripts/(\w+)\.lua\)", LEDGER)) == sorted(sources({}))
