"""Verifying: the ledger against Resend's list of what it sent. Sends and deletes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from shared.domain.enrollments import Enrollment, Step
from shared.domain.states import StepState
from shared.emails.subjects import Subjects
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.recovery import sent_list, sent_matches
from shared.recovery.enrollment_records import EnrollmentRecord, of_contacts
from shared.recovery.findings import Finding
from shared.recovery.sent_list import EARLY, Follow, Lister, SentList, unseen
from shared.recovery.sent_matches import Match


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
            findings += [*self._twice(email, runs, listed), *_unknown(email, runs, listed)]
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
        for subject, steps in self._steps_of(often, runs).items():
            if counts[subject] > len(steps) and not any(step.anew for _, step in steps):
                run, step = steps[0]
                message = f"Resend accepted {counts[subject]} emails of this subject for {len(steps)} step(s)"
                yield Finding("duplicate", ids.email_id(run.id, step.number), message)

    def _steps_of(self, subjects: set[str], runs: list[EnrollmentRecord]) -> dict[str, list[tuple[Enrollment, Step]]]:
        """The steps that may have had each of these subjects."""
        found: dict[str, list[tuple[Enrollment, Step]]] = {}
        for one in runs:
            for step in one.enrollment.steps:
                for subject in subjects & self.subjects.of(one.enrollment.slug, step.number, one.contact):
                    found.setdefault(subject, []).append((one.enrollment, step))
        return found

    def _open(self, email: str, runs: list[EnrollmentRecord], listed: SentList) -> Iterator[Finding]:
        """Emails that Resend accepted for steps that count as scheduled or in doubt, or whose doubt a person left
        open."""
        matches = sent_matches.find(email, runs, listed, self.subjects)
        claimed = Counter(other.id for match in matches for other in match.emails)
        named: set[str] = set()
        for match in matches:
            if match.step.state == StepState.SCHEDULED:
                first = next((other for other in match.emails if other.id not in named), None)
                if first:
                    named.add(first.id)
                    yield Finding("disagreement", match.id, _accepted(match), _skip(match))
            elif found := _of_doubt(match, claimed):
                yield found


def _unknown(email: str, runs: list[EnrollmentRecord], listed: SentList) -> Iterator[Finding]:
    """Steps that count as sent by Evergreen, but are unknown to Resend."""
    for one in runs:
        for step in one.enrollment.steps:
            if _is_missing(step, email, listed):
                id = ids.email_id(one.enrollment.id, step.number)
                yield Finding("gap", id, "it counts as sent, but Resend does not list it")


def _is_missing(step: Step, email: str, listed: SentList) -> bool:
    """Whether a step that Evergreen has sent, at a time that the list covers, is not in the list."""
    if step.state != StepState.SENT or step.sent_by != "evergreen" or step.sent_at is None:
        return False
    if not listed.covers(step.sent_at - EARLY):
        return False
    if step.provider_id:
        return all(other.id != step.provider_id for other in listed.to(email))
    return all(abs(other.at - step.sent_at) > EARLY for other in listed.to(email))


def _of_doubt(match: Match, claimed: Counter[str]) -> Finding | None:
    """What the emails that match a step in doubt, or one that a person skipped while it was, say about it.

    Args:
        match: the step and its emails.
        claimed: how many steps each email matches.
    """
    if match.step.state not in (StepState.IN_DOUBT, StepState.SKIPPED):
        return None
    if [claimed[one.id] for one in match.emails] == [1]:
        return Finding("disagreement", match.id, _accepted(match), found=match.emails[0])
    if match.step.state == StepState.SKIPPED or not match.emails:
        return None
    message = "it is in-doubt, and several emails in Resend's list may be it, or one that may belong elsewhere"
    return Finding("disagreement", match.id, message, f"check the list, then {_skip(match)}")


def _accepted(match: Match) -> str:
    return f"it is {match.step.state}, but Resend has accepted it"


def _skip(match: Match) -> str:
    return f"evergreen skip {match.enrollment} {match.step.number}"
