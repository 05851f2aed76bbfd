"""Figures, and how they compare with the last recorded ones.

Speeds depend on the machine and on who else uses it, so what is compared is the ratio to a yardstick that the same run
measures: HTTP requests to the stub and Redis round trips, one after the other. Bytes, megabytes and counts are compared
as they are.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

RESULTS = Path(__file__).parent / "results"
LAST = RESULTS / "last.json"
DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"
_PER_SECOND, _TIMES = ("/s",), ("ms", "µs", "s")


@dataclass(frozen=True)
class Figure:
    """One measured value.

    Attributes:
        name: what it is of.
        unit: such as `/s`, `ms`, `MB`; decides how it is compared.
        better: whether less of it is better, or more.
        tolerance: the share by which it may differ from the last one and still counts as the same.
        slack: the difference, in its unit, that never counts: a millisecond more of almost nothing is no news.
        fixed: whether the machine's speed does not matter to it.
        target: what it is meant to reach on two cores.
    """

    name: str
    value: float
    unit: str
    better: Literal["less", "more"] = "less"
    tolerance: float = 0.3
    slack: float = 0.0
    fixed: bool = False
    target: float | None = None

    @property
    def aim(self) -> str:
        """The target in words, and whether it was missed."""
        if self.target is None:
            return ""
        bound = f"{'≥' if self.better == 'more' else '≤'} {shown(self.target)}"
        met = self.value >= self.target if self.better == "more" else self.value <= self.target
        return bound if met else f"{bound}, MISSED"

    def ratio(self, yardstick: float) -> float:
        """Its value as it is compared.

        Args:
            yardstick: trips a second.
        """
        if self.fixed or not math.isfinite(self.value):
            return self.value
        if self.unit in _PER_SECOND:
            return self.value / yardstick
        return self.value * yardstick / 1000 if self.unit in _TIMES else self.value

    def verdict(self, last: dict[str, float] | None, yardstick: float) -> str:
        """`same`, `better` or `WORSE`, and by how much; `new` where nothing was recorded."""
        if last is None:
            return "new"
        before, now = last["ratio"], self.ratio(yardstick)
        if self.slack and abs(self.value - last["value"]) <= self.slack:
            return "same"
        if not before:
            return "same" if not now else ("better" if self.better == "more" else "WORSE")
        change = now / before - 1
        if abs(change) <= self.tolerance:
            return f"same ({change:+.0%})"
        return f"{'better' if (change > 0) == (self.better == 'more') else 'WORSE'} ({change:+.0%})"


@dataclass
class Report:
    """The figures of one run, shown as they come.

    Attributes:
        yardstick: trips a second, see `machine.measure_yardstick`.
    """

    yardstick: float = 1.0
    figures: list[Figure] = field(default_factory=list)

    def add(self, *figures: Figure) -> None:
        """Take figures, and show them."""
        self.figures += figures
        for figure in figures:
            print(f"  {figure.name}: {shown(figure.value)} {figure.unit}", flush=True)

    def table(self) -> str:
        """All of them as a Markdown table, with what became of each since the last recorded run."""
        last = read_last()
        rows = [
            f"| {one.name} | {shown(one.value)} {one.unit} | {one.aim} | "
            f"{one.verdict(last.get(one.name), self.yardstick)} |"
            for one in self.figures
        ]
        return "\n".join(["| | measured | target | beside the last recorded run |", "|---|---|---|---|", *rows])

    def plain_table(self) -> str:
        """All of them as a Markdown table, for the documentation."""
        rows = [f"| {figure.name} | {shown(figure.value)} {figure.unit} | {figure.aim} |" for figure in self.figures]
        return "\n".join(["| | measured | target |", "|---|---|---|", *rows])

    def keep(self, path: Path, **about: object) -> None:
        """Write everything as JSON.

        Args:
            path: the file.
            about: what else is to be known of this run.
        """
        figures = {
            figure.name: {
                "value": round(figure.value, 4),
                "unit": figure.unit,
                "ratio": round(figure.ratio(self.yardstick), 6),
            }
            for figure in self.figures
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            json.dumps({**about, "yardstick": round(self.yardstick, 1), "figures": figures}, indent=1) + "\n",
            encoding="utf-8",
        )


def read_last() -> dict[str, dict[str, float]]:
    """The recorded figures by name; empty where none were recorded."""
    figures: dict[str, dict[str, float]] = (
        json.loads(LAST.read_text(encoding="utf-8"))["figures"] if LAST.exists() else {}
    )
    return figures


def write_section(name: str, text: str, document: Path | None = None) -> None:
    """Put a text into a document, between the marks of its name.

    Args:
        name: as in `<!-- name -->` and `<!-- /name -->`.
        text: Markdown.
        document: another than docs/performance.md.

    Raises:
        ValueError: where the page has no such marks.
    """
    document = document or DOCUMENT
    page = document.read_text(encoding="utf-8")
    before, _, rest = page.partition(f"<!-- {name} -->\n")
    _, mark, after = rest.partition(f"<!-- /{name} -->")
    if not mark:
        raise ValueError(
            f"{document.name} has no <!-- {name} --> and <!-- /{name} -->; put both where the table should stand"
        )
    document.write_text(f"{before}<!-- {name} -->\n{text}\n<!-- /{name} -->{after}", encoding="utf-8")


def shown(value: float) -> str:
    """A number as people read it."""
    if not math.isfinite(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
