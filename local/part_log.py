"""The log of one part of the stack: put aside when it is long, and read when the part ends."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

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
        """Why the part cannot start, if its log ends with the reason: an invalid setting or campaign."""
        lines = self._lines()
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
