"""Importing: the people of a CSV file become contacts, enrollments in the same way as the website's forms, or
suppressions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shared.core.errors import WebhookError
from shared.domain.catalog import Campaign
from shared.domain.forms import SignUp
from shared.intake import enrolling, form_values
from shared.intake.context import Intake
from shared.intake.csv_columns import Fault
from shared.intake.csv_people import People
from shared.intake.csv_rows import Row
from shared.ledger import ids
from shared.ledger.contacts import Contacts
from shared.ledger.obstacles import obstacle

SOURCE = "import"
ON_FILE = "given before the import; the wording is not in the file"
NO_SCORES = "no scores, which the campaign requires"
NO_CONSENT = "no consent"
OBSTACLES = {
    "exists": "enrolled in this campaign before",
    "queued": "starts when the active enrollment of the campaign's group ends",
    "blocked": "another enrollment of the campaign's group is active",
}


@dataclass(frozen=True)
class Result:
    """What becomes of a person or a line.

    Attributes:
        line: where it begins in the file, from 1.
        what: `enrolled`, `exists` (enrolled before), `queued` or `blocked` (by another enrollment of the group),
            `stored` (no email follows from the import), `suppressed` or `refused`.
        field: the column that decides it, if it is one.
        message: why, without an address.
    """

    line: int
    what: str
    field: str = ""
    message: str = ""


@dataclass(frozen=True)
class Import:
    """The import of a file. The schedule keeps the emails within the provider's rate.

    People who get no email still get none: an import lifts no unsubscribe. If a trigger enrolls, no email counts as
    sent by the website.

    Attributes:
        people: the people.
        intake: where and when they come in.
        trigger: the webhook whose campaign they enroll in; with None, they are only stored.
        consent_on_file: whether all people in the file have agreed, as the operator can show.
    """

    people: People
    intake: Intake
    trigger: str | None = None
    consent_on_file: bool = False

    def preview(self) -> Iterator[Result]:
        """What `apply` would do now; changes nothing."""
        yield from map(_refused, self.people.faults)
        campaign = self._campaign
        for row in self.people:
            settled = self._settled(row)
            if settled or not campaign:
                yield settled or Result(row.line, "stored")
            else:
                yield _started(row, obstacle(row.form.email, campaign, self.intake.ledger) or "enrolled")

    def apply(self) -> Iterator[Result]:
        """Import the people, one after the other. All suppressions come first: an import that is interrupted leaves no
        one without theirs."""
        for contact, reasons in self.people.reasons.items():
            for reason in sorted(reasons):
                self.intake.ledger.suppress(contact, reason, source=SOURCE)
        yield from map(_refused, self.people.faults)
        for row in self.people:
            settled = self._settled(row)
            yield settled if settled and settled.what == "refused" else self._take(row, settled)

    @property
    def _campaign(self) -> Campaign | None:
        return self.intake.catalog.triggered_by(self.trigger) if self.trigger else None

    def _settled(self, row: Row) -> Result | None:
        """What becomes of a person who is not to be enrolled; None for those who are, or if no one is."""
        if row.reasons:
            return Result(row.line, "suppressed", message=", ".join(sorted(row.reasons)))
        if row.doubt:
            return _refused(row.doubt)
        campaign = self._campaign
        if not campaign:
            return None
        if reasons := self._suppressed(row):
            return Result(row.line, "stored", message=f"gets no email ({', '.join(reasons)})")
        if not self._agreed(row):
            return Result(row.line, "stored", "consent", NO_CONSENT)
        has_all = form_values.has_all(_form(row.form, consents=True), campaign)
        return None if has_all else Result(row.line, "stored", message=NO_SCORES)

    def _take(self, row: Row, settled: Result | None) -> Result:
        consents = self._agreed(row) and not self._suppressed(row)
        form = _starting(_form(row.form, consents), row.start, self.intake.now)
        trigger = self.trigger if self.trigger and consents else SOURCE
        try:
            answer = enrolling.sign_up(form, trigger=trigger, intake=_at(row.start, self.intake))
        except WebhookError as error:
            return Result(row.line, "refused", message=error.message)
        return settled or _started(row, answer.outcome.what)

    def _agreed(self, row: Row) -> bool:
        return bool(row.form.consent or (self.consent_on_file and row.form.consent is not False))

    def _suppressed(self, row: Row) -> list[str]:
        return list(Contacts(self.intake.ledger).suppression(ids.digest(row.form.email)).reasons)


def _refused(fault: Fault) -> Result:
    return Result(fault.line, "refused", fault.field, fault.message)


def _started(row: Row, what: str) -> Result:
    """The result of a sign-up, as enroll.lua says it."""
    return Result(row.line, "stored" if what == "tracked" else what, message=OBSTACLES.get(what, ""))


def _form(form: SignUp, consents: bool) -> SignUp:
    """The form with a consent only if it counts, and no email that the website has sent."""
    consent = {"consent": True, "consent_text": form.consent_text or ON_FILE} if consents else {"consent": None}
    return form.model_copy(update={"email_1_status": "failed"} | consent)


def _starting(form: SignUp, start: int | None, now: int) -> SignUp:
    """The form with the anchor of a campaign that began in the past."""
    if start is None or start > now:
        return form
    return form.model_copy(update={"email_1_sent_at": datetime.fromtimestamp(start / 1000, UTC)})


def _at(start: int | None, intake: Intake) -> Intake:
    """A campaign that begins later counts as if its form came in then. A consent on a list lifts no unsubscribe."""
    return replace(intake, leads=False, lifts=False, now=max(start or 0, intake.now))
