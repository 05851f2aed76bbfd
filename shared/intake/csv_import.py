"""Importing: the people of a CSV file become contacts, or enrollments in the same way as the website's forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from shared.core.errors import WebhookError
from shared.domain.forms import SignUp
from shared.intake import enrolling
from shared.intake.context import Intake
from shared.intake.csv_rows import Fault, Row
from shared.ledger import ids
from shared.ledger.contacts import Contacts

SOURCE = "import"
ON_FILE = "given before the import; the wording is not in the file"
NO_SCORES = "no scores, which the campaign requires: remembered, not enrolled"
NO_CONSENT = "no consent: remembered, not enrolled"


def apply(rows: list[Row], intake: Intake, *, trigger: str | None, consent_on_file: bool) -> Iterator[Fault | None]:
    """Import people, one after the other; the schedule keeps their emails within the provider's rate.

    People who get no email still get none: an import lifts no unsubscribe. If a trigger enrolls, no email counts as
    sent by the website.

    Args:
        rows: the people.
        intake: where and when they come in.
        trigger: the webhook whose campaign they enroll in; with None, they are only remembered.
        consent_on_file: whether all people in the file have agreed, as the operator can show.

    Yields:
        For each row, None, or why it was only remembered or not accepted.
    """
    people = Contacts(intake.ledger)
    for row in rows:
        agreed = row.form.consent or (consent_on_file and row.form.consent is not False)
        reasons = people.suppression(ids.digest(row.form.email)).reasons
        gets_email = bool(agreed) and not reasons
        form = _starting(_form(row.form, gets_email), row.start, intake.now)
        try:
            answer = enrolling.sign_up(
                form, trigger=trigger if trigger and gets_email else SOURCE, intake=_at(row.start, intake)
            )
        except WebhookError as error:
            yield Fault(row.line, "", error.message)
            continue
        if not trigger or answer.campaign:
            yield None
        elif reasons:
            yield Fault(row.line, "", f"gets no email ({', '.join(reasons)}): remembered, not enrolled")
        else:
            yield Fault(row.line, "", NO_SCORES if agreed else NO_CONSENT)


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
    """A campaign that begins later counts as if its form came in then."""
    return replace(intake, leads=False, now=max(start or 0, intake.now))
