"""`python -m benchmarks.quick [WHAT ...] [--customers 300] [--most 1000000] [--due 10000] [--record]`: Evergreen's
figures.

WHAT is any of webhook, spread, burst, limit, wrong_addresses, singly, kill, ledger; without it all of them. `--record`
makes this run the one that later ones are compared with, and puts its figures into docs/performance.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks import parts, provider
from benchmarks.figures import LAST, RESULTS, Report, write_section
from benchmarks.machine import described, machine, yardstick
from benchmarks.parts import SIZES, Plan
from benchmarks.provider import Provider
from benchmarks.subject import SINGLY, Subject, evergreen

Part = Callable[[Plan, Subject, Report], None]
STACKS: dict[str, tuple[tuple[Part, ...], dict[str, str]]] = {  # what is measured on one stack, and its settings
    "in batches": ((parts.webhook, parts.spread, parts.burst, parts.limit, parts.wrong_addresses), {}),
    "singly": ((parts.singly,), {"RESEND_BATCH_ABOVE": SINGLY, "SEND_WORKERS": "4"}),
    "killed": (
        (parts.kill,),
        {"RESEND_BATCH_ABOVE": SINGLY, "PROVIDER_TIMEOUT": "2s"},
    ),  # the lease, 4.5 times that, is 9 s
}


def measure(plan: Plan, chosen: set[str], report: Report) -> None:
    """Run what was chosen.

    Args:
        plan: how much.
        chosen: names of parts; all where it is empty.
        report: takes the figures.
    """

    def scratch() -> AbstractContextManager[str]:
        return tempfile.TemporaryDirectory(ignore_cleanup_errors=True)

    with scratch() as name, provider.serve(Path(name)) as stub:
        report.yardstick = yardstick(stub, Path(name))
        for measured, settings in STACKS.values():
            wanted = [part for part in measured if not chosen or part.__name__ in chosen]
            if wanted:
                with scratch() as directory:
                    _with_stack(plan, stub, Path(directory), wanted, settings, report)
    if not chosen or "ledger" in chosen:
        print("\nA large ledger", flush=True)
        with scratch() as name:
            parts.ledger(plan, Path(name), report)


def _with_stack(
    plan: Plan,
    stub: Provider,
    directory: Path,
    wanted: list[Part],
    settings: dict[str, str],
    report: Report,
) -> None:
    with evergreen(directory, stub, **settings) as subject:
        for part in wanted:
            print(f"\n{(part.__doc__ or '').splitlines()[0]}", flush=True)
            part(plan, subject, report)


def main() -> None:
    """Measure, show, keep and compare."""
    names = [part.__name__ for measured, _ in STACKS.values() for part in measured] + ["ledger"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="WHAT", help=", ".join(names))
    parser.add_argument("--customers", type=int, default=300)
    parser.add_argument("--most", type=int, default=SIZES[-1], help="scheduled steps")
    parser.add_argument("--due", type=int, default=10_000, help="emails due at once under a limit")
    parser.add_argument("--record", action="store_true", help="later runs are compared with this one")
    asked = parser.parse_args()
    if asked.record and asked.what:
        parser.error("--record needs a whole run: name no WHAT")
    if unknown := set(asked.what) - set(names):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    about, began, report = machine(), time.monotonic(), Report()
    print(
        f"{about['machine']}, Python {about['python']}, load {about['load']}, Valkey with appendfsync always",
        flush=True,
    )
    measure(Plan(asked.customers, asked.most, asked.due), set(asked.what), report)
    print(f"\n{report.table()}\n\n{time.monotonic() - began:.0f} s in all", flush=True)
    report.keep(RESULTS / "quick.json", **about)
    if asked.record:
        report.keep(LAST, **about)
        write_section("bench", f"{described(about)}\n\n{report.plain_table()}")


if __name__ == "__main__":
    main()
