"""Importing: a CSV file of people becomes contacts, or enrollments in the same way as the website's forms.

The whole file is read before anything is done, so that every fault is known first. Spreadsheets differ: a BOM,
semicolons or tabs, CRLF and line breaks within quotes are all fine.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shared.core.errors import EvergreenError, WebhookError
from shared.domain.enrollments import SCORES
from shared.domain.forms import SignUp
from shared.domain.timing import OLD_AT_MOST
from shared.intake import enrolling
from shared.intake.enrolling import Intake
from shared.ledger import ids
from shared.ledger.contacts import Contacts

SOURCE = "import"
PERSONAL = ("email", "name", "first_name", "business_name", "timezone", *SCORES, "consent", "consent_text")
COLUMNS = (*PERSONAL, "campaign", "start")
DELIMITERS = ",;\t"
AHEAD_AT_MOST = timedelta(days=366)
YES_OR_NO = "write yes or no"
ON_FILE = "given before the import; the wording is not in the file"
NO_SCORES = "no scores, which the campaign requires: remembered, not enrolled"
NO_CONSENT = "no consent: remembered, not enrolled"
_OTHER_NAMES = {
    "e_mail": "email",
    "email_address": "email",
    "full_name": "name",
    "company": "business_name",
    "time_zone": "timezone",
}


class FileError(EvergreenError):
    """A file cannot be imported at all; the message says how to fix it."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a line.

    Attributes:
        line: where it begins in the file, from 1.
        field: the column; empty if it is the whole line.
        message: what is wrong, without an address.
    """

    line: int
    field: str
    message: str


@dataclass(frozen=True)
class Row:
    """One person in the file.

    Attributes:
        line: where they first appear.
        form: what a form would have sent.
        start: when the campaign begins for them, in milliseconds since 1970 UTC; None: now.
    """

    line: int
    form: SignUp
    start: int | None = None


@dataclass
class Sheet:
    """The content of a file: each address once, and the lines that cannot be used.

    Attributes:
        columns: those that were recognized.
        unknown: those that were not, and are ignored.
        doubles: how many lines were merged into an earlier one of the same address.
    """

    columns: tuple[str, ...]
    unknown: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    doubles: int = 0


def read(path: Path, *, campaign: str | None, now: int) -> Sheet:
    """Read a file and check each of its lines.

    Args:
        path: the file.
        campaign: the slug that the column `campaign` must hold, unless it is empty.
        now: milliseconds since 1970 UTC.

    Raises:
        FileError: if the file is not CSV in UTF-8, or has no column `email`.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(DELIMITERS, key=first.count), strict=True)
            header = [_OTHER_NAMES.get(name, name) for name in map(_column, next(reader, []))]
            if "email" not in header:
                raise FileError(
                    f"{path.name} has no column `email`; its first line must name the columns, such as "
                    "email,name,consent"
                )
            if double := next((name for name in header if name in COLUMNS and header.count(name) > 1), None):
                raise FileError(f"{path.name} has two columns `{double}`; rename or remove one")
            sheet = Sheet(
                tuple(name for name in header if name in COLUMNS), tuple(name for name in header if name not in COLUMNS)
            )
            _fill(sheet, header, _lines(reader), campaign, now)
            return sheet
    except OSError as error:
        raise FileError(f"{path.name} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise FileError(f"{path.name} is not in UTF-8; save it as 'CSV UTF-8'") from None
    except csv.Error as error:
        raise FileError(f"{path.name} is not a CSV file near line {reader.line_num}: {error}") from None


def _column(name: str) -> str:
    return "_".join(name.strip().lower().replace("-", " ").split())


def _lines(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not empty, each with the number where it begins."""
    begins = reader.line_num + 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield begins, cells
        begins = reader.line_num + 1


def _fill(
    sheet: Sheet, header: list[str], lines: Iterator[tuple[int, list[str]]], campaign: str | None, now: int
) -> None:
    places: dict[str, int] = {}
    for line, cells in lines:
        if len(cells) > len(header):
            sheet.faults.append(Fault(line, "", f"{len(cells)} cells, but the first line names {len(header)} columns"))
            continue
        given = {
            name: cell.strip() for name, cell in zip(header, cells, strict=False) if name in COLUMNS and cell.strip()
        }
        row, faults = _row(line, given, campaign, now)
        sheet.faults += faults
        if row is None:
            continue
        if (place := places.setdefault(row.form.email, len(sheet.rows))) < len(sheet.rows):
            sheet.rows[place] = _merged(sheet.rows[place], row)
            sheet.doubles += 1
        else:
            sheet.rows.append(row)


def _row(line: int, given: dict[str, str], campaign: str | None, now: int) -> tuple[Row | None, list[Fault]]:
    faults, start, form = [], None, None
    try:
        start = _instant(given["start"], now) if "start" in given else None
    except ValueError as error:
        faults.append(Fault(line, "start", str(error)))
    if campaign and given.get("campaign", campaign) != campaign:
        faults.append(Fault(line, "campaign", f"this import enrolls in {campaign}, not in another campaign"))
    try:
        form = SignUp.model_validate({"email": ""} | {name: given[name] for name in PERSONAL if name in given})
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_context=False, include_input=False):
            name = str(fault["loc"][0]) if fault["loc"] else ""
            faults.append(
                Fault(line, name, YES_OR_NO if name == "consent" else fault["msg"].removeprefix("Value error, "))
            )
    return (Row(line, form, start) if form and not faults else None), faults


def _instant(text: str, now: int) -> int:
    """A `start` in milliseconds; UTC if it names no zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("not a date; write it as 2026-01-31 or 2026-01-31T09:00:00+01:00") from None
    milliseconds = round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    if milliseconds < now - OLD_AT_MOST:
        raise ValueError("more than 30 days ago; leave it out to begin now")
    if milliseconds > now + AHEAD_AT_MOST // timedelta(milliseconds=1):
        raise ValueError("more than a year ahead")
    return milliseconds


def _merged(first: Row, later: Row) -> Row:
    """One person from two lines: the later one counts, but a `no` to consent stands."""
    said = first.form.model_dump(exclude_none=True) | later.form.model_dump(exclude_none=True)
    if False in (first.form.consent, later.form.consent):
        said["consent"] = False
    return Row(first.line, SignUp.model_construct(**said), later.start if later.start is not None else first.start)


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
        form = row.form.model_copy(update={"consent": None, "email_1_status": "failed"})
        if agreed and not reasons:
            form = form.model_copy(update={"consent": True, "consent_text": form.consent_text or ON_FILE})
        enrolls = trigger if agreed and not reasons else None
        try:
            answer = enrolling.sign_up(
                _starting(form, row.start, intake.now), trigger=enrolls or SOURCE, intake=_at(row.start, intake)
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


def _starting(form: SignUp, start: int | None, now: int) -> SignUp:
    """The form with the anchor of a campaign that began in the past."""
    if start is None or start > now:
        return form
    return form.model_copy(update={"email_1_sent_at": datetime.fromtimestamp(start / 1000, UTC)})


def _at(start: int | None, intake: Intake) -> Intake:
    """A campaign that begins later counts as if its form came in then."""
    return replace(intake, leads=False, now=max(start or 0, intake.now))
