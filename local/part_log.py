"""The log of one part of the stack: put aside when it is long, and read when the part ends."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

DAMAGED = re.compile(  # how Valkey's log ends then
    "Bad file format reading the append only file|Check RDB returned error|Unable to obtain the AOF file|AOF manifest"
)
ROTATE_AT = 10_000_000  # bytes of a log, checked when its part is started


@dataclass(frozen=True)
class PartLog:
    """The file to which a part's processes append what they print."""

    path: Path

    def rotate(self) -> None:
        """Make its folder, and put a long log aside; one is kept."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and self.path.stat().st_size > ROTATE_AT:
            self.path.replace(self.path.with_suffix(".log.1"))

    def refusal(self) -> str | None:
        """Why the part cannot start, if its log ends with the reason: an invalid setting or campaign, or a log of
        Valkey that is damaged."""
        lines = self._lines()
        if DAMAGED.search("\n".join(lines[-3:])):
            return (
                f"Valkey's data is damaged; the end of {self.path} says where. Put your latest backup in its place: "
                "docs/backup.md. Without one, move the data away and rebuild the ledger from Notion: docs/restore.md."
            )
        try:
            last = json.loads(lines[-1]) if lines else {}
        except ValueError:
            return None
        return str(last["event"]) if isinstance(last, dict) and last.get("part") == "startup" else None

    def end(self) -> str:
        """The last lines, with where they are from."""
        return "\n".join([f"The end of {self.path}:", *self._lines()[-5:]])

    def _lines(self) -> list[str]:
        return self.path.read_text(encoding="utf-8", errors="replace").splitlines()
