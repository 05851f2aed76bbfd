"""docs/troubleshooting.md quotes what Evergreen really says."""

from __future__ import annotations

import re

import pytest

from shared.core.stack_file import ROOT

DOCUMENT = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SOURCES = [
    file
    for folder in ("shared", "local", "commands")
    for kind in ("*.py", "*.lua", "*.html", "*.yaml")
    for file in sorted((ROOT / folder).rglob(kind))
]
SAYS = re.sub(r'"\s*\n\s*f?"', "", "\n".join(file.read_text(encoding="utf-8") for file in SOURCES))
SHORTEST = 12  # characters; a shorter word would be found anywhere
# Put together from a run's or a step's state.
COMPOSED = {"is active, not paused", "is cancelled", "the step is scheduled", "the step is sent"}


def quoted() -> list[str]:
    """Each piece of a message in a table's first column, without what differs from case to case."""
    cells = [
        line.split(" | ")[0] for line in DOCUMENT.splitlines() if line.startswith("| ") and "`" in line.split(" | ")[0]
    ]
    spans = [span for cell in cells for span in re.findall(r"`([^`]+)`", cell)]
    pieces = (piece.strip(" .:,") for span in spans for piece in re.split(r"…|\.\.\.|\d{3}|: (?=\w+$)", span))
    return sorted({piece for piece in pieces if len(piece) >= SHORTEST and piece not in COMPOSED})


@pytest.mark.parametrize("piece", quoted())
def test_a_quoted_message_exists(piece: str) -> None:
    """Word for word, in the code or in a page."""
    assert piece in SAYS
