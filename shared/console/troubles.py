"""What keeps emails from going out, why, and how to fix it: the texts for the findings of shared/ledger/health.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.console.looks import span
from shared.ledger.health import Health, Problem
from shared.ledger.version import VERSION

FULL = (
    "Give Redis more memory (maxmemory), or remove what fills it: evergreen purge --since 2h --unconfirmed. Stopping, "
    "unsubscribing and forgetting work meanwhile."
)
FIRST_EMAILS = (
    "New sign-ups wait for confirmation, and other emails go out. Look at the latest sign-ups; evergreen purge erases "
    "those of a flood. Then start sending on the overview."
)
GATE = (
    "Due emails wait. If Resend gave the reason, sending resumes by itself once it is fixed; otherwise start it on "
    "the overview."
)


@dataclass(frozen=True)
class Trouble:
    """A problem.

    Attributes:
        title: the problem, in the words of /health if it reports it.
        why: what is known about it.
        fix: how to fix it.
        grave: whether it holds up emails.
    """

    title: str
    why: str
    fix: str
    grave: bool = True


def troubles(health: Health, overview: Mapping[str, Any]) -> list[Trouble]:
    """All problems, the most serious first.

    Args:
        health: the ledger's.
        overview: from the queries.
    """
    return [_trouble(problem, health, overview) for problem in health.problems]


def _trouble(problem: Problem, health: Health, overview: Mapping[str, Any]) -> Trouble:
    match problem:
        case Problem.TOO_NEW:
            why = f"It has version {health.version}, and this console reads up to {VERSION}."
            return Trouble("The ledger is from a newer release", why, "Run the release that wrote it, or a newer one.")
        case Problem.FULL:
            why = f"Redis has used {_of_memory(health)}: it accepts no sign-up, and no email is sent."
            return Trouble("The ledger is full", why, FULL)
        case Problem.STOPPED:
            return Trouble("Sending is stopped", f"{health.gate}.", GATE)
        case Problem.NO_INFO:
            why = "How full it is cannot be watched; and with Notion, no email is sent."
            return Trouble("Redis does not let its user run INFO", why, "Allow it: docs/deploy.md, Redis's user.")
        case Problem.FENCED:
            fix = "Stop the other copy; or, if this is the right one, let it take over: evergreen fence --take-over."
            return Trouble("Fenced: another copy of this ledger may be sending", f"{health.fence}.", fix)
        case Problem.SILENT:
            seen = None if health.tick_age is None else f"Its last heartbeat was {span(health.tick_age / 1000)} ago."
            fix = "No email is released until it is back: restart it and read its log."
            return Trouble("The scheduler is silent", seen or "It has never been seen.", fix)
        case Problem.OVERDUE:
            late = f"The oldest is {span(health.overdue / 1000)} late; {overview['late']} are late in all."
            return Trouble(
                "An email is overdue", late, "Check whether sending is stopped, and whether a worker is running."
            )
        case Problem.UNLISTED:
            fix = "The scheduler puts it back within an hour, and reports it; evergreen verify --fix does it at once."
            return Trouble("An email is on no list", f"{health.unlisted} of those checked would never be sent.", fix)
        case Problem.NO_SENDER:
            fix = "Start the worker of the queue “send” and read its log."
            return Trouble("No worker sends", "No process reads the queue.", fix)
        case Problem.NO_RECORDER:
            fix = "Start the worker of the queue “record”. Emails still go out."
            return Trouble("Nothing is recorded in Notion", "No process reads the outbox.", fix, grave=False)
        case Problem.FIRST_EMAILS:
            why = "More than 3 of the last 100 bounced, so someone may be signing up addresses that do not exist."
            return Trouble("First emails to new sign-ups are stopped", why, FIRST_EMAILS)
        case Problem.NO_ROOM:
            why = f"Redis has used {_of_memory(health)}. At 100 % no email is sent."
            return Trouble("The ledger is 90 % full: forms are refused", why, FULL, grave=False)
        case Problem.MEMORY:
            why = f"Redis has used {_of_memory(health)}. At 90 % forms are refused; at 100 % no email is sent."
            return Trouble("The ledger is filling up", why, FULL, grave=False)
        case Problem.NOTION:
            why = ". ".join(health.notion) + "."
            fix = "Emails still go out; what has no column is left out. evergreen notion check names all of it."
            return Trouble("A database in Notion needs a correction", why, fix, grave=False)
        case Problem.BEHIND:
            why = f"{health.outbox} changes wait to be written there."
            return Trouble(
                "Notion is behind",
                why,
                "Nothing if the number falls; otherwise run evergreen notion check.",
                grave=False,
            )


def _of_memory(health: Health) -> str:
    return f"{health.memory_used:.0%} of its {health.memory_limit / 1_048_576:,.0f} MB".replace("%", " %")
