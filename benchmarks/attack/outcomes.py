"""What became of an attack: its row in the table, and what did not hold."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.attack.measuring import Stretch
from benchmarks.subject import at

LATE, SLOW_ANSWER = 1.0, 1.0  # seconds that an email may be late (p99), and an unsubscribe may take
LEFT = 1.0  # megabytes that may stay: for a day the counts of networks, and the marks of enrollments that got an email
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

    def problems(self) -> list[str]:
        """What does not hold."""
        found, answers = self.attacked, self.attacked.customers
        grown, left = found.memory[1] - found.memory[0], self.after - found.memory[0]
        wrong = {
            f"emails were late: p99 {at(found.late, 0.99):,.0f} ms": at(found.late, 0.99) > LATE * 1000,
            f"{self.lost} emails were lost, {self.twice} left twice": bool(self.lost or self.twice),
            f"an unsubscribe took {max(answers.answers):.1f} s": max(answers.answers) > SLOW_ANSWER,
            f"unsubscribes were answered {answers.refused}": bool(answers.refused),
            f"{found.while_stopped} emails left while sending was stopped": found.while_stopped > 0,
            f"stop and start: {found.commands}": not all(isinstance(one, float) for one in found.commands),
            f"the purge failed: {self.purged}": not isinstance(self.purged, float),
            f"the owner got {self.alerts}": len(set(self.alerts)) < len(self.alerts) or len(self.alerts) > 1,
            f"{left:.1f} of {grown:.1f} MB were not given back": left > max(LEFT, 0.1 * grown),
        }
        return [what for what, is_so in wrong.items() if is_so]


def is_lead(title: str) -> bool:
    """Whether a message is about urgent leads."""
    return "critical" in title.lower() or "lead" in title.lower()
