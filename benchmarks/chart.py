"""Bar charts as SVG without a library, readable on a light and on a dark page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

WIDTH, ROW, LEFT, RIGHT, TOP = 760, 28, 220, 110, 54
STYLE = """text { font: 13px system-ui, sans-serif; fill: #1d2b26 } .title { font-size: 15px; font-weight: 600 }
  .note { fill: #5b6b65 }
.bar { fill: #a9b8b2 } .ours { fill: #1f6f54 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6eeea } .note { fill: #9fb0a9 } .bar { fill: #5c6b65 } .ours { fill: #4fb58f }
  .ground { fill: #14201b } }"""


def bars(title: str, unit: str, values: Sequence[tuple[str, float]], *, ours: str = "Evergreen") -> str:
    """A horizontal bar for each value, on a logarithmic scale where the largest is over fifty times the smallest.

    Args:
        title: what is compared.
        unit: of the values.
        values: name and value, in their order.
        ours: the beginning of the names that are set off.
    """
    known = [value for _, value in values if math.isfinite(value) and value > 0]
    wide = bool(known) and max(known) / min(known) > 50
    note = f"{unit}{', logarithmic scale' if wide else ''}"
    height = TOP + ROW * len(values) + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}" rx="6" fill="#ffffff"/>',
        f'<text class="title" x="16" y="24">{escape(title)}</text><text class="note" x="16" '
        f'y="42">{escape(note)}</text>',
    ]
    for number, (name, value) in enumerate(values):
        y = TOP + ROW * number
        length = _share(value, known, wide) * (WIDTH - LEFT - RIGHT)
        kind = "ours" if name.startswith(ours) else "bar"
        lines.append(f'<text x="{LEFT - 10}" y="{y + 18}" text-anchor="end">{escape(name)}</text>')
        lines.append(f'<rect class="{kind}" x="{LEFT}" y="{y + 4}" width="{length:.1f}" height="{ROW - 9}" rx="3"/>')
        lines.append(f'<text x="{LEFT + length + 8:.1f}" y="{y + 18}">{_label(value)}</text>')
    return "\n".join([*lines, "</svg>\n"])


def write(path: Path, title: str, unit: str, values: Sequence[tuple[str, float]]) -> None:
    """Draw `bars` into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(bars(title, unit, values), encoding="utf-8")


def _share(value: float, known: Sequence[float], wide: bool) -> float:
    """How long a bar is, 0 to 1."""
    if not math.isfinite(value) or value <= 0:
        return 0.0
    if not wide:
        return value / max(known)
    low = math.log10(min(known)) - 0.3
    return (math.log10(value) - low) / (math.log10(max(known)) - low)


def _label(value: float) -> str:
    if not math.isfinite(value):
        return "not measured"
    return f"{value:,.0f}" if abs(value) >= 20 or value == int(value) else f"{value:.2g}"
