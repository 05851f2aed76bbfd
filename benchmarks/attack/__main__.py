"""`python -m benchmarks.attack [--seconds 60] [--only flood-1 …]`: under attack, measured.

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
from benchmarks.attack.measuring import Stretch, memory, missing, purge, stretch
from benchmarks.machine import described, machine
from benchmarks.provider import Provider
from benchmarks.subject import at, evergreen
from shared.core import log
from shared.domain import campaign_files

LIMITS = {
    "WEBHOOK_RATE_PER_IP": "10/second",
    "WEBHOOK_RATE_PER_ADDRESS": "5/hour",
    "SIGNUPS_PER_HOUR": "600",
    "SIGNUPS_PER_DAY": "2000",
    "TRUSTED_PROXIES": "127.0.0.1",  # so X-Forwarded-For plays the networks
}
MAXMEMORY = 384 * 2**20  # as in deploy/
ROOM = 1.0  # megabytes that a full ledger has left when its attack begins
LATE, SLOW_ANSWER = 1.0, 1.0  # seconds that an email may be late (p99), and an unsubscribe may take


@dataclass(frozen=True)
class Scenario:
    """An attack.

    Attributes:
        title: what it is.
        attack: called with the gateway's port and the seconds that it lasts.
        held: whether as many sign-ups are held before it as can be.
        fills: whether the ledger has only ROOM left.
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
HEAD = """
| attack | let through | held | 429 | other answers | emails late, p99 | unsubscribe, slowest | stop, start | alerts | \
leads | Redis MB: before, most, after purge | slowest script |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Outcome:
    """A scenario's quiet stretch, its attack, and what is left after the purge.

    Attributes:
        lost: the customers' emails that never left.
        twice: those that left more than once.
        after: megabytes of Redis after the purge.
        purged: seconds that it took, or what went wrong.
    """

    quiet: Stretch
    attacked: Stretch
    lost: int
    twice: int
    after: float
    purged: float | str

    @property
    def alerts(self) -> list[str]:
        """The titles of the owner's alerts."""
        return [title for title in self.attacked.words if not is_lead(title)]

    def row(self, title: str) -> str:
        """Its line in the table."""
        quiet, found = self.quiet, self.attacked
        others = {status: count for status, count in found.statuses.items() if status not in (202, 429)}
        late = [f"{at(one.late, 0.99):,.0f}" for one in (quiet, found)]
        slow = [f"{max(one.customers.answers) * 1000:.0f}" for one in (quiet, found)]
        commands = ", ".join(f"{one:.1f} s" if isinstance(one, float) else "FAILED" for one in found.commands)
        cells = (
            title,
            f"{found.enrolled:,}",
            f"{found.held:,}",
            f"{found.statuses[429]:,}",
            ", ".join(f"{status or 'none'}: {count:,}" for status, count in sorted(others.items())) or "-",
            f"{late[0]} → {late[1]} ms",
            f"{slow[0]} → {slow[1]} ms",
            commands,
            str(len(self.alerts)),
            str(len(found.words) - len(self.alerts)),
            f"{found.memory[0]:.1f}, {found.memory[1]:.1f}, {self.after:.1f}",
            f"{quiet.slowest:.0f} → {found.slowest:.0f} ms",
        )
        return f"| {' | '.join(cells)} |"

    def problems(self, scenario: Scenario) -> list[str]:
        """What does not hold."""
        found, answers = self.attacked, self.attacked.customers
        grown, left = found.memory[1] - found.memory[0], self.after - found.memory[0]
        wrong = {
            f"emails were late: p99 {at(found.late, 0.99):,.0f} ms": not scenario.fills
            and at(found.late, 0.99) > LATE * 1000,
            f"{self.lost} emails were lost, {self.twice} left twice": bool(self.lost or self.twice),
            f"an unsubscribe took {max(answers.answers):.1f} s": max(answers.answers) > SLOW_ANSWER,
            f"unsubscribes were answered {answers.refused}": bool(answers.refused),
            f"{found.while_stopped} emails left while sending was stopped": found.while_stopped > 0,
            f"stop and start: {found.commands}": not all(isinstance(one, float) for one in found.commands),
            f"the purge failed: {self.purged}": not isinstance(self.purged, float),
            f"the owner got {self.alerts}": len(set(self.alerts)) < len(self.alerts)
            or len(self.alerts) > (4 if scenario.fills else 1),
            f"{left:.1f} of {grown:.1f} MB were not given back": left > max(0.5, 0.2 * grown),
        }
        return [what for what, is_so in wrong.items() if is_so]


def is_lead(title: str) -> bool:
    """Whether a message is about urgent leads."""
    return "critical" in title.lower() or "lead" in title.lower()


def run(scenario: Scenario, directory: Path, stub: Provider, seconds: float) -> Outcome:
    """Measure one attack on a new stack."""
    with evergreen(directory, stub, **LIMITS) as subject:
        catalog, redis = campaign_files.load(directory / "campaigns"), subject.trial.redis()
        redis.config_set("maxmemory", MAXMEMORY)
        quiet = stretch(subject, catalog, "quiet", seconds, None)
        lost, twice = missing(subject, [quiet])
        if scenario.held:
            attackers.fill_held(subject.trial, catalog)

        def attack() -> Counter[int]:
            if scenario.fills:
                redis.config_set("maxmemory", round((memory(subject) + ROOM) * 1e6))
            return scenario.attack(subject.port, seconds)

        found = stretch(subject, catalog, "attacked", seconds, attack)
        purged = purge(subject)
        after = memory(subject)
        more_lost, more_twice = missing(subject, [found])
        return Outcome(quiet, found, lost + more_lost, twice + more_twice, after, purged)


def main() -> int:
    """Run the attacks, one after the other, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of each attack, and of the quiet before it")
    parser.add_argument("--only", nargs="*", choices=SCENARIOS, default=list(SCENARIOS))
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
        problems += [f"{name}: {problem}" for problem in outcome.problems(scenario)]
    print(HEAD + "\n".join(rows))
    print("\nEverything holds." if not problems else "\nDOES NOT HOLD:\n" + "\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
