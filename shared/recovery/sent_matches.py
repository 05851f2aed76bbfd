"""Which emails of Resend's list may belong to which steps of a person: by subject and time, as the list has no tags."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.enrollments import Step
from shared.domain.states import StepState
from shared.emails.subjects import Subjects
from shared.integrations.provider import Listed
from shared.ledger import ids
from shared.recovery.enrollment_records import EnrollmentRecord
from shared.recovery.sent_list import EARLY, SentList


@dataclass(frozen=True)
class Match:
    """A step, and the listed emails that may belong to it, oldest first.

    Attributes:
        enrollment: the id of the step's enrollment.
    """

    enrollment: str
    step: Step
    emails: list[Listed]

    @property
    def id(self) -> str:
        """The id of the step's email."""
        return ids.email_id(self.enrollment, self.step.number)


def find(email: str, runs: list[EnrollmentRecord], listed: SentList, subjects: Subjects) -> list[Match]:
    """The steps with an open outcome, or that were tried, each with the listed emails that fit; none if every listed
    email is explained.

    Args:
        email: the person's address.
        runs: their enrollments.
        listed: what Resend sent.
        subjects: each email's subject.
    """
    unexplained = _unexplained(email, runs, listed)
    return [
        Match(one.enrollment.id, step, _fitting(one, step, unexplained, subjects))
        for one in (runs if unexplained else [])
        for step in one.enrollment.steps
        if step.state.is_open or step.state == StepState.IN_DOUBT or step.posted is not None
    ]


def _fitting(one: EnrollmentRecord, step: Step, listed: list[Listed], subjects: Subjects) -> list[Listed]:
    """The listed emails that may belong to a step: with its subject, since its first attempt, or else since the
    enrollment started."""
    since = (one.enrollment.anchor if step.posted is None else step.posted) - EARLY
    late = [other for other in listed if other.at >= since]
    own = subjects.of(one.enrollment.slug, step.number, one.contact) if late else set()
    return [other for other in late if other.subject in own]


def _unexplained(email: str, runs: list[EnrollmentRecord], listed: SentList) -> list[Listed]:
    """The listed emails of a person that match no step by id or by time."""
    steps = [step for one in runs for step in one.enrollment.steps]
    known = {step.provider_id for step in steps}
    instants = [step.sent_at for step in steps if step.sent_at and not step.provider_id]
    return [
        one for one in listed.to(email) if one.id not in known and not any(abs(one.at - at) <= EARLY for at in instants)
    ]
