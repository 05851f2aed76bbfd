"""Verifying: the ledger against its two witnesses, what Resend says that it sent and what stands in Notion.

Sends and deletes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from shared.core.errors import LedgerError
from shared.domain import timing
from shared.domain.enrollments import Contact, Enrollment, Step
from shared.domain.states import StepState
from shared.emails.subjects import Subjects
from shared.integrations.provider import Listed
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.listing import Listing
from shared.ledger.orders import Report
from shared.recovery import sent_list
from shared.recovery.sent_list import Follow, Lister, SentList, unseen
from shared.recovery.step_outcomes import EARLY

SEEN_TTL = 7 * timing.DAY
FIXES = ("tell", "found", "unlisted")  # of a finding: by what it can be fixed


@dataclass(frozen=True)
class Finding:
    """Something that does not agree.

    Attributes:
        kind: `duplicate`, `gap` or `disagreement`.
        what: the id of the email, run or contact, or of a page in Notion.
        message: what is the matter.
        advice: what a person may do about it.
        tell: the kind and id of what Notion shall be told again; that fixes it.
        found: the listed email that settles a step in doubt; that fixes it.
        unlisted: whether it is an email on no list; to put it back fixes it.
        fixed: whether that was done.
    """

    kind: str
    what: str
    message: str
    advice: str = ""
    tell: tuple[str, str] | None = None
    found: Listed | None = None
    unlisted: bool = False
    fixed: bool = False

    @property
    def fixable(self) -> bool:
        """Whether it can be fixed without a person."""
        return self.tell is not None or self.found is not None or self.unlisted

    @property
    def as_dict(self) -> dict[str, Any]:
        """For JSON; without addresses."""
        return {name: value for name, value in asdict(self).items() if name not in FIXES} | {"fixable": self.fixable}


@dataclass(frozen=True)
class EnrollmentRecord:
    """An enrollment that the ledger holds, and its contact."""

    enrollment: Enrollment
    contact: Contact

    @property
    def email(self) -> str:
        """The address."""
        return self.contact.email


def held(ledger: Ledger, follow: Follow = unseen) -> list[EnrollmentRecord]:
    """Every enrollment in the ledger of a person who was not forgotten, tracked ones too."""
    found = []
    for name in follow(Listing(ledger).every(), "Reading the ledger"):
        run = ledger.enrollment(name)
        contact = ledger.contact(run.contact) if run else None
        if run and contact and "email" in contact.fields:
            found.append(EnrollmentRecord(run, contact))
    return sorted(found, key=lambda one: one.enrollment.id)


def of_contacts(ledger: Ledger, contacts: Iterable[str]) -> list[EnrollmentRecord]:
    """Every enrollment of some contacts, but of those who were forgotten.

    Args:
        ledger: holds them.
        contacts: their ids.
    """
    found = []
    for name in contacts:
        contact = ledger.contact(name)
        if contact and "email" in contact.fields:
            runs = map(ledger.enrollment, Listing(ledger).of_contact(name))
            found += [EnrollmentRecord(run, contact) for run in runs if run]
    return found


@dataclass
class ResendWitness:
    """Compares the ledger with Resend's list.

    Attributes:
        ledger: is compared.
        subjects: how each email's subject reads.
        lister: knows what was sent.
        turn: called before each request to it.
        follow: shows the progress.
        list_from: the instant back to which the list could be read, in milliseconds since 1970 UTC; None where it was
            not.
    """

    ledger: Ledger
    subjects: Subjects
    lister: Lister
    turn: Callable[[], None] = lambda: None
    follow: Follow = unseen
    list_from: int | None = field(default=None)

    def compare(self, everything: list[EnrollmentRecord], since: int) -> list[Finding]:
        """What Resend knows otherwise.

        Args:
            everything: the enrollments in the ledger, read before.
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
            if any(
                self._open(email, runs, listed)
            ):  # what was on its way when the ledger was read may be what is listed: look once more
                findings += self._open(email, of_contacts(self.ledger, {runs[0].enrollment.contact}), listed)
        return findings

    def _twice(self, email: str, runs: list[EnrollmentRecord], listed: SentList) -> Iterator[Finding]:
        """More emails of a subject than the person's enrollments have steps of it."""
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
        """Steps that count as sent by us, of which Resend knows nothing."""
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
                        "it counts as sent, and Resend does not list it",
                    )

    def _open(self, email: str, runs: list[EnrollmentRecord], listed: SentList) -> Iterator[Finding]:
        """Emails that Resend took for steps that count as scheduled or in doubt, or whose doubt a person has left."""
        known = {step.provider_id for one in runs for step in one.enrollment.steps}
        free = [one for one in listed.to(email) if one.id not in known]
        unnamed = [
            step.sent_at for one in runs for step in one.enrollment.steps if step.sent_at and not step.provider_id
        ]
        free = [one for one in free if not any(abs(one.at - at) <= EARLY for at in unnamed)]
        claims = [
            (one.enrollment, step, self._fitting(one, step, free))
            for one in (runs if free else [])
            for step in one.enrollment.steps
            if step.state.is_open or step.state == StepState.IN_DOUBT or step.posted is not None
        ]
        claimed = Counter(other.id for _, _, found in claims for other in found)
        named: set[str] = set()
        for run, step, found in claims:
            id, message = ids.email_id(run.id, step.number), f"it is {step.state}, and Resend has accepted it"
            if step.state in (StepState.IN_DOUBT, StepState.SKIPPED) and [claimed[other.id] for other in found] == [1]:
                yield Finding("disagreement", id, message, found=found[0])
            elif step.state == StepState.IN_DOUBT and found:
                message = "it is in-doubt, and several emails in Resend's list may be it, or one that may be another's"
                yield Finding("disagreement", id, message, f"look there, then evergreen skip {run.id} {step.number}")
            elif step.state == StepState.SCHEDULED and (
                first := next((other for other in found if other.id not in named), None)
            ):
                named.add(first.id)
                yield Finding("disagreement", id, message, f"evergreen skip {run.id} {step.number}")

    def _fitting(self, one: EnrollmentRecord, step: Step, listed: list[Listed]) -> list[Listed]:
        """Which listed emails can be a step's: of its subject, from its first post on, or else since the enrollment
        began."""
        since = (one.enrollment.anchor if step.posted is None else step.posted) - EARLY
        late = [other for other in listed if other.at >= since]
        own = self.subjects.of(one.enrollment.slug, step.number, one.contact) if late else set()
        return [other for other in late if other.subject in own]


def fix(findings: list[Finding], ledger: Ledger) -> list[Finding]:
    """Do what is safe: what is in doubt and known to Resend is sent; what Notion lacks is told again; what is on no
    list is put back.

    Args:
        findings: what was found.
        ledger: is fixed.

    Returns:
        The findings, as they are then.
    """
    things = [finding.tell for finding in findings if finding.tell]
    if things:
        ledger.tell(things)
    return [_fixed(finding, ledger) for finding in findings]


def _fixed(finding: Finding, ledger: Ledger) -> Finding:
    done = finding.tell is not None
    if finding.unlisted:
        whose = [ids.parse_email_id(finding.what)[0]]
        ledger.audit(whose, repair=True)
        done = finding.what not in ledger.audit(whose)
    elif finding.found:
        enrollment, number = ids.parse_email_id(finding.what)
        run = ledger.enrollment(enrollment)
        if run is None:
            raise LedgerError(f"{enrollment} was forgotten meanwhile; verify once more")
        ledger.receive(
            Report(
                what="accepted",
                at=finding.found.at,
                seen=ids.digest(f"verify:{finding.found.id}"),
                seen_ttl=SEEN_TTL,
                contact=run.contact,
                enrollment=enrollment,
                step=number,
                id=finding.found.id,
                sent=finding.found.at,
            )
        )
        after = ledger.enrollment(enrollment)
        done = after is not None and after.step(number).state == StepState.SENT
    return Finding(**(vars(finding) | {"fixed": done}))
