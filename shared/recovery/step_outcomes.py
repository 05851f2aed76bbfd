"""The outcome of each email of a restored enrollment: known from the rows, from Resend's list, or in doubt."""

from __future__ import annotations

from collections.abc import Collection

from shared.domain.enrollments import Contact
from shared.domain.states import StepState
from shared.emails.subjects import Subjects
from shared.integrations.provider import Listed
from shared.ledger import ids
from shared.ledger.restore_orders import RestoredStep
from shared.notion.cells import MINUTE
from shared.recovery.drafts import Draft
from shared.recovery.notion_rows import Rows
from shared.recovery.sent_list import EARLY, SentList

DOUBT = "it was due before the ledger was restored, and Resend's list does not settle whether it was sent"


def settle(drafts: Collection[Draft], listed: SentList, subjects: Subjects) -> None:
    """Set the outcome of each open step: `state`, and what belongs to it.

    Args:
        drafts: the open enrollments of a person.
        listed: what Resend sent and `explain` has left; emails matched to a step are taken out.
        subjects: each email's subject.
    """
    for draft in drafts:
        for step in list(draft.open):
            if found := _found(draft, step.number, listed, subjects):
                listed.explain(draft.run.email, found)
                step.state, step.sent, step.by, step.id = StepState.SENT, found.at, "evergreen", found.id
    for draft in drafts:
        for step in list(draft.open):
            step.state, step.why = _decided(draft, step, listed)


def explain(rows: Rows, listed: SentList, subjects: Subjects) -> None:
    """Take out of the list what is logged, and what was sent at the minute of a mark.

    A list that has none of it is another account's.

    Args:
        rows: everything that Notion knows.
        listed: what Resend sent.
        subjects: each email's subject.
    """
    foreign = bool(rows.provider_ids)
    for email, emails in listed.emails.items():
        listed.emails[email] = [one for one in emails if not rows.provider_ids.get(one.id)]
        foreign = foreign and len(listed.emails[email]) == len(emails)
    if foreign:
        listed.reach = None
    _explain_marks(rows, listed, subjects)


def _explain_marks(rows: Rows, listed: SentList, subjects: Subjects) -> None:
    """Take out, for each mark without a logged email, the one sent at its minute: if several, the one with the step's
    subject."""
    for run in rows.runs.values():
        contact = Contact(rows.people[ids.digest(run.email)].fields)
        for number, at in run.marks.items():
            near = [one for one in listed.to(run.email) if at - MINUTE <= one.at <= at + 2 * MINUTE]
            log = rows.logged(ids.email_id(run.id, number)) if near else None
            if near and not (log and log.provider_id):
                own = subjects.of(run.campaign.slug, number, contact)
                listed.explain(run.email, next((one for one in near if one.subject in own), near[0]))


def _found(draft: Draft, number: int, listed: SentList, subjects: Subjects) -> Listed | None:
    """The listed email of this step: with its subject, since the enrollment started."""
    since = 0 if draft.anchor is None else draft.anchor - EARLY
    candidates = [one for one in listed.to(draft.run.email) if one.at >= since]
    own = subjects.of(draft.run.campaign.slug, number, draft.contact) if candidates else set()
    return next((one for one in candidates if one.subject in own), None)


def _decided(draft: Draft, step: RestoredStep, listed: SentList) -> tuple[StepState, str | None]:
    """The outcome of a step that is sent neither by the rows nor by Resend's list, and why."""
    log = draft.logged.get(step.number)
    if log and log.state == "in doubt":
        return StepState.IN_DOUBT, log.why or DOUBT
    if log and log.state == "skipped":
        return StepState.SKIPPED, log.why or "it was skipped before the ledger was restored"
    if log is None and _was_overtaken(draft, step):
        return StepState.SKIPPED, "it was not sent, and a later email was, before the ledger was restored"
    if not draft.may_be_sent(step) or _is_ruled_out(draft, step, listed):
        return StepState.SCHEDULED, None
    return StepState.IN_DOUBT, DOUBT


def _was_overtaken(draft: Draft, step: RestoredStep) -> bool:
    """Whether a later email was sent since this one was due, give or take two minutes."""
    later = max(
        (other.sent for other in draft.steps if other.number > step.number and other.sent is not None), default=None
    )
    return later is not None and step.due <= later + 2 * MINUTE


def _is_ruled_out(draft: Draft, step: RestoredStep, listed: SentList) -> bool:
    """Whether the list shows that nothing was sent since the step was due."""
    since = step.due - EARLY
    return listed.covers(since) and not any(one.at >= since for one in listed.to(draft.run.email))
