"""`python -m benchmarks.peers [--rounds 5] [--customers 300] [--only NAME ...] [--fsync always]`: all contenders side
by side.

Every round runs every contender once, one after the other, so that what else the machine does meets all alike; the
medians count. After each round everything so far is kept in benchmarks/results/peers.json. A round takes about twelve
minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import chart, provider
from benchmarks.figures import RESULTS, shown, write_section
from benchmarks.machine import described, machine, yardstick
from benchmarks.peers import environments
from benchmarks.peers.contenders import CONTENDERS, Contender
from benchmarks.peers.measuring import PHASES, Measured, lead_for, pending
from benchmarks.peers.stage import on_stage
from benchmarks.provider import Provider
from shared.core.stack_file import ROOT

OURS = {"Evergreen": "batches", "Evergreen, no batches": "singly"}
SETTINGS_OF_OURS = (
    "one worker (four where it may not batch), one gateway with all functions; PROVIDER_TIMEOUT=2s, so a dead "
    "worker's email waits 9 s; nothing recorded in Notion"
)
SHOWN = (
    ("enroll /s", "more"),
    ("sign-up p99 ms", "less"),
    ("burst /s", "more"),
    ("slow /s", "more"),
    ("late p50 ms", "less"),
    ("late p99 ms", "less"),
    ("early", "less"),
    ("memory MB", "less"),
    ("idle CPU %", "less"),
    ("CPU s / 1,000", "less"),
    ("kill: lost", "less"),
    ("kill: twice", "less"),
)
CHARTS = {
    "late p99 ms": (
        "How late: from the due instant until the provider has the email, 99th percentile",
        "ms, less is better",
    ),
    "enroll /s": ("Customers enrolled, seven emails each, through HTTP", "customers a second"),
    "burst /s": ("A burst of due emails, the provider answers at once", "emails a second"),
    "slow /s": ("A burst of due emails, the provider takes 100 ms", "emails a second"),
    "memory MB": ("Memory of all processes, seven emails pending for each customer", "MB (PSS), less is better"),
}
Rounds = dict[str, list[Measured]]


def measure(contender: Contender | str, stub: Provider, customers: int, fsync: str) -> Measured:
    """One round of one contender; what fails is left out, and said."""
    found: Measured = {}
    customers = max(1, round(customers * (contender.share if isinstance(contender, Contender) else 1)))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        try:
            with on_stage(contender, stub, Path(directory), fsync) as stage:
                found |= _said("pending", pending(stage, stub, customers))
                lead = lead_for(customers, found["enroll /s"])
                for phase in PHASES:
                    found |= _said(phase.__name__, phase(stage, stub, customers, lead))
        except (RuntimeError, TimeoutError, OSError) as error:
            print(f"    left out from here: {error}", flush=True)
    return found


def _said(phase: str, figures: Measured) -> Measured:
    """Show what a phase found; returns it."""
    print(
        f"    {time.strftime('%H:%M:%S')} {phase}: "
        f"{', '.join(f'{name} {shown(value)}' for name, value in figures.items())}",
        flush=True,
    )
    return figures


def medians(rounds: list[Measured]) -> Measured:
    """Of each figure; the worst of what must never happen."""
    found: Measured = {}
    for name in {name for one in rounds for name in one}:
        values = [one[name] for one in rounds if name in one and math.isfinite(one[name])]
        worst = name in ("kill: lost", "kill: twice", "early")
        found[name] = (max(values) if worst else statistics.median(values)) if values else math.nan
    return found


def tables(rounds: Rounds) -> str:
    """The medians, and how many times better Evergreen is than each, as Markdown."""
    found = {name: medians(measured) for name, measured in rounds.items() if measured}
    head = f"| | {' | '.join(name for name, _ in SHOWN)} |\n|---|{'---|' * len(SHOWN)}"
    rows = [
        f"| {name} | {' | '.join(shown(values.get(figure, math.nan)) for figure, _ in SHOWN)} |"
        for name, values in found.items()
    ]
    if (ours := found.get("Evergreen")) is None:
        return "\n".join([head, *rows])
    ratios = []
    for name, values in found.items():
        times = [_times(ours.get(figure, math.nan), values.get(figure, math.nan), better) for figure, better in SHOWN]
        ratios += [f"| {name} | {' | '.join(times)} |"] if name != "Evergreen" else []
    return "\n".join([head, *rows, "", "How many times better Evergreen is (below 1: worse):", "", head, *ratios])


def _times(ours: float, theirs: float, better: str) -> str:
    over, under = (ours, theirs) if better == "more" else (theirs, ours)
    return shown(round(over / under, 2)) if under > 0 and over > 0 and math.isfinite(over / under) else "-"


def keep(rounds: Rounds, about: dict[str, Any], to: Path) -> None:
    """Write every round as JSON."""
    to.parent.mkdir(parents=True, exist_ok=True)
    settings = {contender.name: contender.settings for contender in CONTENDERS} | dict.fromkeys(OURS, SETTINGS_OF_OURS)
    clean = {
        name: [{k: v if math.isfinite(v) else None for k, v in one.items()} for one in all_]
        for name, all_ in rounds.items()
    }
    to.write_text(json.dumps({**about, "settings": settings, "rounds": clean}, indent=1) + "\n", encoding="utf-8")


def draw(rounds: Rounds) -> None:
    """The charts into docs/img."""
    found = {name: medians(measured) for name, measured in rounds.items() if measured}
    for figure, (title, unit) in CHARTS.items():
        values = [(name, values.get(figure, math.nan)) for name, values in found.items()]
        chart.write(ROOT / "docs" / "img" / picture(figure), title, unit, values)


def picture(figure: str) -> str:
    """The file of a figure's chart."""
    return f"bench-{figure.split()[0]}.svg"


def main() -> None:
    """Measure, show and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--customers", type=int, default=300)
    parser.add_argument("--only", nargs="*", default=[], help="beginnings of names, such as Celery")
    parser.add_argument(
        "--fsync",
        choices=["always", "everysec"],
        default="always",
        help="the others' Valkey; Evergreen's is always 'always'",
    )
    parser.add_argument(
        "--to",
        type=Path,
        default=RESULTS / "peers.json",
        help="where the rounds are kept; charts and docs/performance.md change with the default only",
    )
    asked = parser.parse_args()
    about = machine() | {"customers": asked.customers, "fsync": asked.fsync}
    print(
        f"{about['machine']}, Python {about['python']}, load {about['load']}; {asked.customers} customers x 7, "
        f"appendfsync {asked.fsync}",
        flush=True,
    )
    chosen: dict[str, Contender | str] = {**OURS, **{contender.name: contender for contender in CONTENDERS}}
    chosen = {
        name: one
        for name, one in chosen.items()
        if not asked.only or any(name.lower().startswith(part.lower()) for part in asked.only)
    }
    chosen = {name: one for name, one in chosen.items() if isinstance(one, str) or environments.make(one)}
    rounds: Rounds = {name: [] for name in chosen}
    with tempfile.TemporaryDirectory() as directory, provider.serve(Path(directory)) as stub:
        for number in range(1, asked.rounds + 1):
            about[f"yardstick of round {number}"] = round(yardstick(stub, Path(directory)))
            for name, contender in chosen.items():
                if isinstance(contender, Contender) and number > contender.rounds:
                    continue
                print(f"  round {number} of {asked.rounds}: {name}", flush=True)
                rounds[name].append(measure(contender, stub, asked.customers, asked.fsync))
            keep(rounds, about, asked.to)
            print(f"\n{tables(rounds)}\n", flush=True)
    if asked.to == RESULTS / "peers.json":
        draw(rounds)
        settings = "\n".join(f"- {contender.name}: {contender.settings}" for contender in CONTENDERS)
        head = (
            f"{described(about)} {asked.customers} customers, medians of {asked.rounds} rounds, `appendfsync "
            f"{asked.fsync}`."
        )
        charts = "\n".join(f"![{title}](img/{picture(figure)})" for figure, (title, _) in CHARTS.items())
        write_section(
            "bench-peers", f"{head}\n\n{charts}\n\n{tables(rounds)}\n\n- Evergreen: {SETTINGS_OF_OURS}\n{settings}"
        )


if __name__ == "__main__":
    main()
