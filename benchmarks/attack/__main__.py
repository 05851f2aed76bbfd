"""`python -m benchmarks.attack [--seconds 60] [--only flood-1 …] [--record]`: under attack, measured.

Each attack meets a stack of its own with the documented limits and the documented `maxmemory`. Before it, the same
stack is measured for as long while nothing happens. The status is 1 where something does not hold.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import provider
from benchmarks.attack import attackers
from benchmarks.attack.measuring import memory, missing, purge, stretch
from benchmarks.attack.outcomes import HEAD, Outcome
from benchmarks.figures import DOCUMENT, write_section
from benchmarks.machine import described, machine
from benchmarks.provider import Provider
from benchmarks.subject import evergreen
from shared.core import log
from shared.domain import campaign_files

LIMITS = {
    "WEBHOOK_RATE_PER_IP": "10/second",
    "WEBHOOK_RATE_PER_ADDRESS": "5/hour",
    "SIGNUPS_PER_HOUR": "600",
    "SIGNUPS_PER_DAY": "2000",
    "TRUSTED_PROXIES": "127.0.0.1",  # so X-Forwarded-For plays the networks
}
MAXMEMORY = 384 * 2**20  # bytes, as in deploy/
SECURITY = DOCUMENT.with_name("security.md")
FULL = 0.9  # of that memory, from which on what proves nothing is refused
ROOM = 2_000_000  # bytes below it, for the customers and the attack that fills the ledger


@dataclass(frozen=True)
class Scenario:
    """An attack.

    Attributes:
        title: what it is.
        attack: called with the gateway's port and the seconds that it lasts.
        held: whether as many sign-ups are held before it as can be.
        fills: whether only ROOM is left to it.
    """

    title: str
    attack: Callable[[int, float], Counter[int]]
    held: bool = False
    fills: bool = False


def _flood(count: int) -> Callable[[int, float], Counter[int]]:
    return lambda port, seconds: attackers.flood(port, seconds, count)


SCENARIOS = {
    "flood-1": Scenario("100 sign-ups/s from 1 network", _flood(1)),
    "flood-20": Scenario("100 sign-ups/s from 20 networks", _flood(20)),
    "flood-10000": Scenario("100 sign-ups/s from 10,000 networks", _flood(10_000)),
    "held": Scenario("the same, 20,000 held already", _flood(10_000), held=True),
    "slow": Scenario("200 slow bodies held open", attackers.hold_bodies),
    "full": Scenario("the same flood fills the ledger", _flood(10_000), fills=True),
}


def run(scenario: Scenario, directory: Path, stub: Provider, seconds: float) -> Outcome:
    """Measure one attack on a new stack."""
    with evergreen(directory, stub, **LIMITS) as subject:
        catalog, redis = campaign_files.load(directory / "campaigns"), subject.trial.redis()
        redis.config_set("maxmemory", MAXMEMORY)
        quiet = stretch(subject, catalog, "quiet", seconds, None)
        lost, twice = missing(subject, [quiet])
        if scenario.held:
            attackers.fill_held(subject.trial, catalog)
        if scenario.fills:
            redis.setrange("ballast", round(FULL * MAXMEMORY - ROOM - memory(subject) * 1e6), "x")
        found = stretch(subject, catalog, "attacked", seconds, lambda: scenario.attack(subject.port, seconds))
        purged = purge(subject)
        more_lost, more_twice = missing(subject, [found])
        after = memory(subject)  # an email on its way is kept whole until it has left
        return Outcome(quiet, found, lost + more_lost, twice + more_twice, after, purged)


def main() -> int:
    """Run the attacks, one after the other, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of each attack, and of the quiet before it")
    parser.add_argument("--only", nargs="*", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--record", action="store_true", help="put the table into docs/security.md")
    asked = parser.parse_args()
    log.configure("ERROR")
    about, rows, problems = machine(), list[str](), list[str]()
    print(described(about), flush=True)
    for name in asked.only:
        scenario = SCENARIOS[name]
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, provider.serve(Path(folder)) as stub:
            outcome = run(scenario, Path(folder), stub, asked.seconds)
        rows.append(outcome.row(scenario.title))
        print(f"{rows[-1]}\n  quiet: {outcome.quiet.memory} MB, told: {outcome.attacked.words}", flush=True)
        problems += [f"{name}: {problem}" for problem in outcome.problems()]
    table = HEAD + "\n".join(rows)
    print(table)
    if asked.record:
        write_section("attack", f"{described(about)} Each attack: {asked.seconds:g} s.\n{table}", SECURITY)
    print("\nEverything holds." if not problems else "\nDOES NOT HOLD:\n" + "\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
