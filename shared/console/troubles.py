"""What stands in the way of emails, why, and how to fix it: the words for what shared/ledger/health.py judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.console.looks import span
from shared.ledger.health import Health, Problem
from shared.ledger.version import VERSION

GATE = (
    "What is due waits. Where Resend gave the reason, sending goes on by itself once it is fixed; else start it on "
    "the overview."
)


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong.

    Attributes:
        title: what, as /health says it where it does.
        why: what is known of it.
        fix: what to do.
        grave: whether emails wait for it.
    """

    title: str
    why: str
    fix: str
    grave: bool = True


def troubles(health: Health, overview: Mapping[str, Any]) -> list[Trouble]:
    """All that is wrong, the gravest first.

    Args:
        health: of the ledger.
        overview: of the desk.
    """
    return [_trouble(problem, health, overview) for problem in health.problems]


def _trouble(problem: Problem, health: Health, overview: Mapping[str, Any]) -> Trouble:
    match problem:
        case Problem.TOO_NEW:
            why = f"It has version {health.version}, and this console reads up to {VERSION}."
            return Trouble("The ledger is of a newer release", why, "Run the release that wrote it, or a newer one.")
        case Problem.STOPPED:
            return Trouble("Sending is stopped", f"{health.gate}.", GATE)
        case Problem.FENCED:
            fix = (
                "Stop the other copy; or, where this one is the right one, let it take over: evergreen fence "
                "--take-over."
            )
            return Trouble("Fenced: another copy of this ledger may be sending", f"{health.fence}.", fix)
        case Problem.SILENT:
            seen = None if health.tick_age is None else f"Its last sign of life was {span(health.tick_age / 1000)} ago."
            fix = "No email is released until it is back: start it again and read its log."
            return Trouble("The scheduler is silent", seen or "It has never been seen.", fix)
        case Problem.OVERDUE:
            late = f"The oldest is {span(health.overdue / 1000)} late; {overview['late']} are late in all."
            return Trouble("An email is overdue", late, "See whether sending is stopped, and whether a worker runs.")
        case Problem.UNLISTED:
            fix = "The scheduler puts it back within the hour, and says so; evergreen verify --fix does it at once."
            return Trouble("An email is on no list", f"{health.unlisted} of those looked at would never go out.", fix)
        case Problem.NO_SENDER:
            fix = "Start the worker of the queue “send” and read its log."
            return Trouble("No worker sends", "No process takes from the queue.", fix)
        case Problem.NO_RECORDER:
            fix = "Start the worker of the queue “record”. Emails go out all the same."
            return Trouble("Nothing is recorded in Notion", "No process takes from the outbox.", fix, grave=False)
        case Problem.BEHIND:
            why = f"{health.outbox} things wait to be written there."
            return Trouble(
                "Notion is behind", why, "Nothing, if the number falls; else: evergreen notion check.", grave=False
            )
