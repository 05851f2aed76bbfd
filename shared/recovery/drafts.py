"""Drafts of the enrollments being restored: each step with its due time, and what Notion's rows know of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from shared.core.settings import Settings
from shared.domain.enrollment_plan import PlannedStep, plan_enrollment
from shared.domain.enrollments import Contact
from shared.domain.states import StepState
from shared.ledger import ids
from shared.ledger.restore_orders import RestoredStep
from shared.notion.cells import MINUTE
from shared.recovery.notion_rows import EnrollmentRow, Logged, Rows
from shared.recovery.sent_list import EARLY


@dataclass
class Draft:
    """An open enrollment being restored.

    Attributes:
        run: the merged rows.
        contact: the person.
        anchor: the time from which delays count; None if unknown.
        until: the time until which steps may have gone out: now, or the pause.
        logged: the rows of its emails, by step.
        steps: as restore.lua takes them.
        group: only one campaign of it runs at a time.
    """

    run: EnrollmentRow
    contact: Contact
    anchor: int | None
    until: int
    logged: dict[int, Logged]
    steps: list[RestoredStep]
    group: str | None

    @property
    def open(self) -> Iterator[RestoredStep]:
        """The steps with an unknown outcome."""
        return (step for step in self.steps if step.state is None)

    @property
    def is_unsent(self) -> bool:
        """Whether, once all is settled, none of its emails can have been sent by Evergreen."""
        return all(step.state == StepState.SCHEDULED or step.by == "website" for step in self.steps)

    def may_be_sent(self, step: RestoredStep) -> bool:
        """Whether its time has come, or is about to."""
        return self.anchor is not None and step.due - EARLY <= self.until


def draft(run: EnrollmentRow, rows: Rows, settings: Settings, now: int) -> Draft:
    """Draft an enrollment: every step with its due time, and what the rows know of it.

    Args:
        run: an open enrollment.
        rows: everything that Notion knows.
        settings: the campaigns' times depend on them.
        now: the time, in milliseconds since 1970 UTC.
    """
    contact = Contact(rows.people[ids.digest(run.email)].fields)
    emails = {step.number: ids.email_id(run.id, step.number) for step in run.campaign.steps}
    logged = {number: found for number, id in emails.items() if (found := rows.logged(id))}
    sent = {number: log.sent_at for number, log in logged.items() if log.state == "sent" and log.sent_at is not None}
    marks = sent | run.marks
    anchor = _anchor_of_marks(run, marks, settings, now) if run.anchor is None else run.anchor
    shape = plan_enrollment(run.campaign, now if anchor is None else anchor, None, settings=settings, now=now)
    until = run.paused_at if run.status == "paused" and run.paused_at is not None else now
    steps = [_known(run, step, marks.get(step.number), logged.get(step.number), anchor) for step in shape.steps]
    return Draft(run, contact, anchor, until, logged, steps, shape.group)


def _anchor_of_marks(run: EnrollmentRow, marks: Mapping[int, int], settings: Settings, now: int) -> int | None:
    """The latest anchor that fits the mark of the last step that has one; None without a mark."""
    marked = [step.number for step in run.campaign.steps if step.number in marks]
    if not marked:
        return None
    plan = plan_enrollment(run.campaign, 0, None, settings=settings, now=now)
    offsets = {step.number: step.offset for step in plan.steps}
    return marks[marked[-1]] + MINUTE - offsets[marked[-1]]


def _known(
    run: EnrollmentRow, planned: PlannedStep, sent_at: int | None, log: Logged | None, anchor: int | None
) -> RestoredStep:
    """A step with what the rows know of it; without a state if it is open."""
    step = RestoredStep(number=planned.number, offset=planned.offset, due=planned.due, page=log.page if log else None)
    known = run.campaign.step(planned.number)
    by_website = known is not None and known.sent_by == "website"
    if sent_at is not None or (log and log.state == "sent"):
        step.state, step.sent = StepState.SENT, planned.due if sent_at is None else sent_at
        step.by = "website" if by_website else "evergreen"
        if log:
            step.by = log.by or step.by
            step.id, step.reports, step.note = log.provider_id or None, dict(log.reports), log.why or None
    elif by_website and anchor is not None:
        step.state, step.sent, step.by = StepState.SENT, anchor, "website"
    elif log and log.state == "failed":
        step.state, step.why = StepState.FAILED, log.why or "it failed before the ledger was restored"
    return step
