"""Verifying: the ledger against Resend's list of what it sent. Sends and deletes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from shared.domain.enrollments import Enrollment, Step
from shared.domain.states import StepState
from shared.emails.subjects import Subjects
from shared.integrations.provider import Listed
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.recovery import sent_list
from shared.recovery.findings import EnrollmentRecord, Finding, of_contacts
from shared.recovery.sent_list import Follow, Lister, SentList, unseen
from shared.recovery.step_outcomes import EARLY


@dataclass
class ResendWitness:
    """Compares the ledger with Resend's list.

    Attributes:
        ledger: is compared.
        subjects: each email's subject.
        lister: lists what was sent.
        turn: called before each request to it.
        follow: shows the progress.
        list_from: the instant back to which the list could be read, in milliseconds since 1970 UTC; None if it could
            not.
    """

    ledger: Ledger
    subjects: Subjects
    lister: Lister
    turn: Callable[[], None] = lambda: None
    follow: Follow = unseen
    list_from: int | None = field(default=None)

    def compare(self, everything: list[EnrollmentRecord], since: int) -> list[Finding]:
        """Where Resend differs.

        Args:
            everything: the enrollments in the ledger, read beforehand.
            since: how far back to look, in milliseconds since 1970 UTC.
        """
        listed = sent_list.read(self.lister, since, now=self.ledger.now(), turn=self.turn, follow=self.follow)
        self.list_from = listed.reach
        if listed.reach is None:
            return [
                Finding(
                    "gap",
                    "resend",
                    "Resend's list could not be read",
                    "give RESEND_API_KEY full access, or try again in a minute",
                )
            ]
        by_address: dict[str, list[EnrollmentRecord]] = {}
        for one in everything:
            by_address.setdefault(one.email, []).append(one)
        findings: list[Finding] = []
        for email, runs in self.follow(list(by_address.items()), "Comparing with Resend"):
            findings += [*self._twice(email, runs, listed), *self._unknown(email, runs, listed)]
            if any(self._open(email, runs, listed)):
                # An email that was being sent when the ledger was read may be listed by now: check again.
                findings += self._open(email, of_contacts(self.ledger, {runs[0].enrollment.contact}), listed)
        return findings

    def _twice(self, email: str, runs: list[EnrollmentRecord], listed: SentList) -> Iterator[Finding]:
        """More emails with a subject than the person's enrollments have steps with it."""
        began = min(one.enrollment.anchor for one in runs) - EARLY
        counts = Counter(one.subject for one in listed.to(email) if one.at >= began)
        often = {subject for subject, count in counts.items() if count > 1}
        if not often:
            return
        of_subject: dict[str, list[tuple[Enrollment, Step]]] = {}
        for one in runs:
            for step in one.enrollment.steps:
                for subject in often & self.subjects.of(one.enrollment.slug, step.number, one.contact):
                    of_subject.setdefault(subject, []).append((one.enrollment, step))
        for subject, steps in of_subject.items():
            if counts[subject] > len(steps) and not any(step.anew for _, step in steps):
                run, step = steps[0]
                message = f"Resend accepted {counts[subject]} emails of this subject for {len(steps)} step(s)"
                yield Finding("duplicate", ids.email_id(run.id, step.number), message)

    def _unknown(self, email: str, runs: list[EnrollmentRecord], listed: SentList) -> Iterator[Finding]:
        """Steps that count as sent by Evergreen, but are unknown to Resend."""
        known = {one.id for one in listed.to(email)}
        for one in runs:
            for step in one.enrollment.steps:
                if (
                    step.state != StepState.SENT
                    or step.sent_by != "evergreen"
                    or step.sent_at is None
                    or not listed.covers(step.sent_at - EARLY)
                ):
                    continue
                near = any(abs(other.at - step.sent_at) <= EARLY for other in listed.to(email))
                if step.provider_id not in known if step.provider_id else not near:
                    yield Finding(
                        "gap",
                        ids.email_id(one.enrollment.id, step.number),
                        "it counts as sent, but Resend does not list it",
                    )

    def _open(self, email: str, runs: list[EnrollmentRecord], listed: SentList) -> Iterator[Finding]:
        """Emails that Resend accepted for steps that count as scheduled or in doubt, or whose doubt a person left
        open."""
        claims = self._claims(runs, _unexplained(email, runs, listed))
        claimed = Counter(other.id for _, _, fitting in claims for other in fitting)
        named: set[str] = set()
        for run, step, fitting in claims:
            id, message = ids.email_id(run.id, step.number), f"it is {step.state}, but Resend has accepted it"
            skip = f"evergreen skip {run.id} {step.number}"
            if step.state == StepState.SCHEDULED:
                first = next((other for other in fitting if other.id not in named), None)
                if first:
                    named.add(first.id)
                    yield Finding("disagreement", id, message, skip)
            elif step.state in (StepState.IN_DOUBT, StepState.SKIPPED) and [claimed[one.id] for one in fitting] == [1]:
                yield Finding("disagreement", id, message, found=fitting[0])
            elif step.state == StepState.IN_DOUBT and fitting:
                message = (
                    "it is in-doubt, and several emails in Resend's list may be it, or one that may belong elsewhere"
                )
                yield Finding("disagreement", id, message, f"check the list, then {skip}")

    def _claims(
        self, runs: list[EnrollmentRecord], listed: list[Listed]
    ) -> list[tuple[Enrollment, Step, list[Listed]]]:
        """The steps that some of these emails may belong to, each with the emails that fit."""
        return [
            (one.enrollment, step, self._fitting(one, step, listed))
            for one in (runs if listed else [])
            for step in one.enrollment.steps
            if step.state.is_open or step.state == StepState.IN_DOUBT or step.posted is not None
        ]

    def _fitting(self, one: EnrollmentRecord, step: Step, listed: list[Listed]) -> list[Listed]:
        """The listed emails that may belong to a step: with its subject, since its first attempt, or else since the
        enrollment started."""
        since = (one.enrollment.anchor if step.posted is None else step.posted) - EARLY
        late = [other for other in listed if other.at >= since]
        own = self.subjects.of(one.enrollment.slug, step.number, one.contact) if late else set()
        return [other for other in late if other.subject in own]


def _unexplained(email: str, runs: list[EnrollmentRecord], listed: SentList) -> list[Listed]:
    """The listed emails of a person that match no step by id or by time."""
    steps = [step for one in runs for step in one.enrollment.steps]
    known = {step.provider_id for step in steps}
    instants = [step.sent_at for step in steps if step.sent_at and not step.provider_id]
    return [
        one for one in listed.to(email) if one.id not in known and not any(abs(one.at - at) <= EARLY for at in instants)
    ]
