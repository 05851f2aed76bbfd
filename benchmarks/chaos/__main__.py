"""`python -m benchmarks.chaos [--customers 300] [--seconds 480] [--seed N] [--to DIR]`: one chaos run, and its table.

Customers come during the first 45 % of the time, trouble lasts for 70 %, and the rest is for what is still to come. The
status is 1 where the promise was broken.
"""

from __future__ import annotations

import argparse
import platform
import random
import sys
import tempfile
from pathlib import Path

import psutil

from benchmarks.chaos.running import Plan, chaos


def main() -> int:
    """Run it, show and keep the table; returns the status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--customers", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=480)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--to", type=Path, default=Path(".local/chaos"), help="where the table and the diary go")
    asked = parser.parse_args()
    print(
        f"{platform.machine()}, {psutil.cpu_count()} cores, Python {platform.python_version()}, seed {asked.seed}",
        flush=True,
    )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        report = chaos(Plan(asked.customers, asked.seconds, asked.seed), Path(directory), asked.to)
    report.show()
    report.write(asked.to)
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
