"""The result of a check: what every check of doctor yields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

Level = Literal["fault", "note", "ok"]


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        level: `fault` (must be fixed), `note` (optional, or could not be checked), `ok`.
        about: a setting, or an outside service.
        message: the problem.
        fix: how to fix it.
    """

    level: Level
    about: str
    message: str
    fix: str = ""

    @property
    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


Findings = Iterator[Finding]
