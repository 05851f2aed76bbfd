"""The table of a chaos run: for the terminal, as JSON and as Markdown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.chaos.judging import Verdict

PROMISES = (
    "lost",
    "twice",
    "out of order",
    "after an end or in a pause",
    "early",
    "not asked for",
    "forgotten run",
    "in doubt without a post",
)


@dataclass(frozen=True)
class Report:
    """What a run has shown.

    Attributes:
        facts: what it was: customers, seconds, machine.
        fills: how often Redis was full for a moment.
        troubles: stories that did not come to their end, parts that did not come back.
    """

    facts: Mapping[str, str]
    verdict: Verdict
    notion: Mapping[str, list[str]]
    notion_rows: Mapping[str, int]
    kills: Counter[str]
    suspended: Counter[str]
    fills: int
    faults: Mapping[str, Counter[str]]
    troubles: list[str]

    @property
    def problems(self) -> dict[str, list[str]]:
        """What breaks the promise; empty when it was kept."""
        found = {
            **self.verdict.problems,
            **self.notion,
            "still to come": self.verdict.pending,
            "the run itself": self.troubles,
        }
        return {name: cases for name, cases in found.items() if cases}

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The table: what, and how it was."""
        verdict = self.verdict
        late = verdict.lateness
        counts = [(name, str(len(verdict.problems.get(name, [])))) for name in PROMISES]
        return [
            *self.facts.items(),
            ("emails due in runs that nothing ended", str(verdict.expected)),
            (
                "emails accepted, those before an end included",
                f"{verdict.accepted} ({verdict.batched} of them in batches)",
            ),
            *counts,
            ("on the wire at an end or a pause, accepted after it", _grace(verdict.on_the_wire)),
            ("in doubt", str(len(verdict.in_doubt))),
            ("reminders left out, more than their half hour (here: half a minute) late", str(len(verdict.too_late))),
            ("lateness p50 / p99 / latest", " / ".join(f"{_at(late, share) / 1000:.2f} s" for share in (0.5, 0.99, 1))),
            ("rows in Notion", ", ".join(f"{name} {count}" for name, count in self.notion_rows.items())),
            *((name, str(len(cases))) for name, cases in self.notion.items()),
            ("killed with -9", _counted(self.kills)),
            ("suspended for longer than a lease", _counted(self.suspended)),
            ("Redis was full, for a tenth of a second to more than one", str(self.fills)),
            *((f"{provider.capitalize()}'s faults", _counted(met)) for provider, met in self.faults.items()),
        ]

    def show(self) -> None:
        """Print it."""
        table = Table("what", "how it was", title="The chaos run")
        for row in self.rows:
            table.add_row(*row)
        console = Console()
        console.print(table)
        for name, cases in [
            ("in doubt", self.verdict.in_doubt),
            ("left out", self.verdict.too_late),
            *self.problems.items(),
        ]:
            for case in cases:
                console.print(f"{name}: {case}", markup=False, highlight=False)
        console.print(
            "The promise was broken." if self.problems else "The promise was kept.",
            style="red" if self.problems else "green",
        )

    def write(self, directory: Path) -> None:
        """Keep it as `chaos.json` and `chaos.md`."""
        directory.mkdir(parents=True, exist_ok=True)
        kept: dict[str, Any] = {
            "table": dict(self.rows),
            "problems": self.problems,
            "in doubt": self.verdict.in_doubt,
            "left out": self.verdict.too_late,
        }
        (directory / "chaos.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        lines = ["| what | how it was |", "|---|---|", *(f"| {name} | {value} |" for name, value in self.rows)]
        (directory / "chaos.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _at(values: list[int], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def _grace(late: list[int]) -> str:
    return f"{len(late)}" + (f", the latest {max(late) / 1000:.1f} s after it" if late else "")


def _counted(counts: Counter[str]) -> str:
    total = sum(counts.values())
    return f"{total}: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) if total else "0"
