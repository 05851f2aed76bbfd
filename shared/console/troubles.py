"""What stands in the way of emails, why, and what mends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.console.looks import span

SILENT_AFTER = 15_000  # milliseconds without a tick of the scheduler, as for /health
OVERDUE_AFTER = 60_000
GATE = "What is due waits. Where Resend gave the reason, sending goes on by itself once it is mended; else start it on the overview."
BEHIND = 100  # things that Notion was not told yet, from which on it is worth a word


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong.

    Attributes:
        title: what, as /health says it where it does.
        why: what is known of it.
        mend: what to do.
        grave: whether emails wait for it.
    """

    title: str
    why: str
    mend: str
    grave: bool = True


def troubles(vitals: Mapping[str, Any], overview: Mapping[str, Any]) -> list[Trouble]:
    """All that is wrong, the gravest first.

    Args:
        vitals: of the ledger.
        overview: of the desk.
    """
    tick, found = vitals["tick_age"], []
    if vitals["gate"]:
        found.append(Trouble("Sending is stopped", f"{vitals['gate']}.", GATE))
    if vitals["fence"]:
        found.append(
            Trouble(
                "Fenced: another copy of this ledger may be sending",
                f"{vitals['fence']}.",
                "Stop the other copy; or, where this one is the right one, let it take over: evergreen fence --take-over.",
            )
        )
    if tick is None or tick > SILENT_AFTER:
        said = "It has never been seen." if tick is None else f"Its last sign of life was {span(tick / 1000)} ago."
        found.append(Trouble("The scheduler is silent", said, "No email is released until it is back: start it again and read its log."))
    if vitals["overdue"] > OVERDUE_AFTER:
        late = f"The oldest is {span(vitals['overdue'] / 1000)} late; {overview['late']} are late in all."
        found.append(Trouble("An email is overdue", late, "See whether sending is stopped, and whether a worker runs."))
    if not vitals["workers"]:
        found.append(
            Trouble("No worker sends", "No process takes from the queue.", "Start the worker of the queue “send” and read its log.")
        )
    if not vitals["recorders"]:
        mend = "Start the worker of the queue “record”. Emails go out all the same."
        found.append(Trouble("Nothing is recorded in Notion", "No process takes from the outbox.", mend, grave=False))
    elif vitals["outbox"] > BEHIND:
        why = f"{vitals['outbox']} things wait to be written there."
        found.append(Trouble("Notion is behind", why, "Nothing, if the number falls; else: evergreen notion check.", grave=False))
    return found
