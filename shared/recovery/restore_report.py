"""The report of a restore: what became of each enrollment and step found in Notion, and what a person must look at."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from shared.domain.states import EnrollmentState, StepState
from shared.ledger import ids
from shared.ledger.answers import Became
from shared.ledger.restore_orders import RestoredEnrollment
from shared.recovery.notion_rows import NotRestored

_NOT_OPEN = {
    "blocked": "the person is in another campaign of the same group",
    "suppressed": "the person is suppressed (Subscription)",
}
_IN_ITS_PLACE = {
    "restored": "replaces it",
    "ended": "was there first, and has ended",
    "marked": "was there first, and is over",
    "blocked": "was there first, and gives way to another campaign of the same group",
    "suppressed": "was there first, and the person gets no email",
}


@dataclass
class Report:
    """The result of a restore, or of a dry run.

    Attributes:
        dry: whether nothing was written.
        runs: how many enrollments were `restored` (they continue), `ended` (open in Notion, but ended since the loss),
            `marked` (over; never again), `tracked`, already there (`exists`), `blocked` or `suppressed`; of those that
            started since the loss, how many were `numbered` again or `thrown` away.
        steps: how many steps of restored runs are sent, scheduled, in-doubt, failed or skipped.
        contacts: how many people.
        duplicates: rows that were merged with another.
        in_doubt: the emails that a person must check.
        paused: the enrollments that come back paused.
        ended: the enrollments that come back ended, and why.
        numbered: the enrollments with a new number, by their new ids.
        thrown: the enrollments that started since the loss and are discarded.
        left: the rows that are not restored.
        notes: what the owner should know about an enrollment.
        list_from: the instant back to which Resend's list could be read, in milliseconds since 1970 UTC; None if it
            could not.
    """

    dry: bool
    runs: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    contacts: int = 0
    duplicates: int = 0
    in_doubt: list[NotRestored] = field(default_factory=list)
    paused: list[NotRestored] = field(default_factory=list)
    ended: list[NotRestored] = field(default_factory=list)
    numbered: list[NotRestored] = field(default_factory=list)
    thrown: list[NotRestored] = field(default_factory=list)
    left: list[NotRestored] = field(default_factory=list)
    notes: list[NotRestored] = field(default_factory=list)
    list_from: int | None = None

    @property
    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        names = ("in_doubt", "paused", "ended", "numbered", "thrown", "left", "notes")
        lists = {name: [asdict(one) for one in getattr(self, name)] for name in names}
        return vars(self) | lists

    def count(self, run: RestoredEnrollment, became: Became) -> None:
        """Add the result for an enrollment."""
        self.runs[became.what] += 1
        if became.what in _NOT_OPEN:
            self.left.append(NotRestored(run.id, _NOT_OPEN[became.what]))
        self._count_newcomers(run.id, became)
        if became.what == "ended":
            self.ended.append(NotRestored(run.id, f"{became.state} since the loss: {became.why}"))
        if became.what not in ("restored", "ended"):
            return
        self._count_steps(run, became)
        if became.state == EnrollmentState.PAUSED:
            self.paused.append(NotRestored(run.id, run.why or "it was paused since the loss"))
        self.notes += [NotRestored(run.id, note) for note in run.notes]

    def _count_newcomers(self, run: str, became: Became) -> None:
        """Add the results for the enrollments that started since the loss."""
        for new in became.thrown:
            self.runs["thrown"] += 1
            self.thrown.append(
                NotRestored(new, f"{'the lost one of that id' if new == run else run} {_IN_ITS_PLACE[became.what]}")
            )
        if became.new_id:
            self.runs["numbered"] += 1
            self.numbered.append(
                NotRestored(became.new_id, f"it started as {became.began_as}, an id that was used before the loss")
            )

    def _count_steps(self, run: RestoredEnrollment, became: Became) -> None:
        """Add the steps of an enrollment that comes back; those that were to come count only if it continues."""
        for step in run.steps:
            state = StepState.SKIPPED if step.number in became.skipped else step.state or StepState.SCHEDULED
            if state == StepState.IN_DOUBT:
                self.in_doubt.append(NotRestored(ids.email_id(run.id, step.number), step.why or ""))
            if state != StepState.SCHEDULED or became.what == "restored":
                self.steps[state] += 1
