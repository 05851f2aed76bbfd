"""The outcome of each email of a restored enrollment: known from the rows, from Resend's list, or in doubt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.core.settings import Settings
from shared.domain.enrollment_plan import PlannedStep, plan_enrollment
from shared.domain.enrollments import Contact
from shared.domain.states import StepState
from shared.emails.subjects import Subjects
from shared.integrations.provider import Listed
from shared.ledger import ids
from shared.ledger.orders import RestoredStep
from shared.notion.cells import MINUTE
from shared.recovery.notion_rows import EnrollmentRow, Logged, Rows
from shared.recovery.sent_list import SentList

EARLY = 5 * MINUTE  # the most by which clocks may differ
DOUBT = "it was due before the ledger was restored, and Resend's list does not settle whether it was sent"


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
    numbers = [step.number for step in run.campaign.steps]
    logged = {number: rows.logged[id] for number in numbers if (id := ids.email_id(run.id, number)) in rows.logged}
    marks = {
        number: log.sent_at for number, log in logged.items() if log.state == "sent" and log.sent_at is not None
    } | run.marks
    anchor = run.anchor
    if anchor is None and (marked := [number for number in numbers if number in marks]):
        offsets = {
            step.number: step.offset
            for step in plan_enrollment(run.campaign, 0, None, settings=settings, now=now).steps
        }
        anchor = marks[marked[-1]] + MINUTE - offsets[marked[-1]]
    shape = plan_enrollment(run.campaign, now if anchor is None else anchor, None, settings=settings, now=now)
    until = run.paused_at if run.status == "paused" and run.paused_at is not None else now
    steps = [_known(run, step, marks.get(step.number), logged.get(step.number), anchor) for step in shape.steps]
    return Draft(run, contact, anchor, until, logged, steps, shape.group)


def settle(drafts: Iterable[Draft], rows: Rows, listed: SentList, subjects: Subjects) -> None:
    """Set the outcome of each open step: `state`, and what belongs to it.

    Args:
        drafts: the open enrollments.
        rows: everything that Notion knows.
        listed: what Resend sent; emails matched to a step are taken out.
        subjects: each email's subject.
    """
    _explain(rows, listed, subjects)
    for draft in drafts:
        for step in list(draft.open):
            if found := _found(draft, step.number, listed, subjects):
                listed.explain(draft.run.email, found)
                step.state, step.sent, step.by, step.id = StepState.SENT, found.at, "evergreen", found.id
    for draft in drafts:
        for step in list(draft.open):
            step.state, step.why = _decided(draft, step, listed)


def _explain(rows: Rows, listed: SentList, subjects: Subjects) -> None:
    """Take out of the list what is logged, and what was sent at the minute of a mark.

    A list that has none of it is another account's."""
    known = {log.provider_id for log in rows.logged.values() if log.provider_id}
    if known and known.isdisjoint(one.id for emails in listed.emails.values() for one in emails):
        listed.reach = None
    for email, emails in listed.emails.items():
        listed.emails[email] = [one for one in emails if one.id not in known]
    for run in rows.runs.values():
        contact = Contact(rows.people[ids.digest(run.email)].fields)
        for number, at in run.marks.items():
            log = rows.logged.get(ids.email_id(run.id, number))
            near = [one for one in listed.to(run.email) if at - MINUTE <= one.at <= at + 2 * MINUTE]
            if near and not (log and log.provider_id):
                own = subjects.of(run.campaign.slug, number, contact)
                listed.explain(run.email, next((one for one in near if one.subject in own), near[0]))


def _found(draft: Draft, number: int, listed: SentList, subjects: Subjects) -> Listed | None:
    """The listed email of this step: with its subject, since the enrollment started."""
    since = 0 if draft.anchor is None else draft.anchor - EARLY
    candidates = [one for one in listed.to(draft.run.email) if one.at >= since]
    own = subjects.of(draft.run.campaign.slug, number, draft.contact) if candidates else set()
    return next((one for one in candidates if one.subject in own), None)


def _known(
    run: EnrollmentRow, planned: PlannedStep, sent_at: int | None, log: Logged | None, anchor: int | None
) -> RestoredStep:
    """A step with what the rows know of it; without a state if it is open."""
    step = RestoredStep(number=planned.number, offset=planned.offset, due=planned.due, page=log.page if log else None)
    known = run.campaign.step(planned.number)
    by_website = known is not None and known.sent_by == "website"
    if sent_at is not None or (log and log.state == "sent"):
        step.state, step.sent = StepState.SENT, planned.due if sent_at is None else sent_at
        step.by = (log.by if log else None) or ("website" if by_website else "evergreen")
        if log:
            step.id, step.reports, step.note = log.provider_id or None, dict(log.reports), log.why or None
    elif by_website and anchor is not None:
        step.state, step.sent, step.by = StepState.SENT, anchor, "website"
    elif log and log.state == "failed":
        step.state, step.why = StepState.FAILED, log.why or "it failed before the ledger was restored"
    return step


def _decided(draft: Draft, step: RestoredStep, listed: SentList) -> tuple[StepState, str | None]:
    """The outcome of a step that is sent neither by the rows nor by Resend's list, and why."""
    log = draft.logged.get(step.number)
    later = max(
        (other.sent for other in draft.steps if other.number > step.number and other.sent is not None), default=None
    )
    if log and log.state == "in doubt":
        return StepState.IN_DOUBT, log.why or DOUBT
    if log and log.state == "skipped":
        return StepState.SKIPPED, log.why or "it was skipped before the ledger was restored"
    if log is None and later is not None and step.due <= later + 2 * MINUTE:
        return StepState.SKIPPED, "it was not sent, and a later email was, before the ledger was restored"
    since = step.due - EARLY
    if not draft.may_be_sent(step) or (
        listed.covers(since) and not any(one.at >= since for one in listed.to(draft.run.email))
    ):
        return StepState.SCHEDULED, None
    return StepState.IN_DOUBT, DOUBT
