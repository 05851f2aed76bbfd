"""One line of a CSV file of people: checked as the website's forms are, and merged with an earlier line of the same
address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from shared.domain.forms import ProvedSignUp
from shared.domain.timing import OLD_AT_MOST
from shared.intake import csv_status
from shared.intake.csv_columns import PERSONAL, Fault

AHEAD_AT_MOST = timedelta(days=366)
YES_OR_NO = "write yes or no"


@dataclass(frozen=True)
class Scope:
    """What every line of a file is read with.

    Attributes:
        campaign: the slug that the column `campaign` must hold, unless it is empty; None: any.
        now: milliseconds since 1970 UTC.
        zone: the time zone of dates that name none.
        reasons: why no one in the file gets email.
    """

    campaign: str | None
    now: int
    zone: str
    reasons: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Row:
    """One person in the file.

    Attributes:
        line: where they first appear.
        form: what a form would have sent.
        start: when the campaign begins for them, in milliseconds since 1970 UTC; None: now.
        reasons: why they get no email: `unsubscribed`, `bounced`, `complained`.
        doubt: why it is not known whether they may get email.
    """

    line: int
    form: ProvedSignUp
    start: int | None = None
    reasons: frozenset[str] = frozenset()
    doubt: Fault | None = None


def checked(line: int, cells: Mapping[str, str], scope: Scope) -> tuple[Row | None, list[Fault]]:
    """The person of a line, or None and what is wrong with it.

    If the person gets no email, or that is not known, only the address must be right.

    Args:
        line: where it begins in the file, from 1.
        cells: its cells by column, empty ones too.
        scope: what it is read with.
    """
    reasons, doubt = csv_status.read(line, cells)
    reasons |= scope.reasons
    form, faults = _form(line, cells)
    if reasons or doubt:
        form, faults = (form, []) if form else _form(line, {"email": cells["email"]})
        return (Row(line, form, reasons=reasons, doubt=doubt) if form else None), faults
    start = None
    try:
        start = _start(cells.get("start", ""), scope)
    except ValueError as error:
        faults.append(Fault(line, "start", str(error)))
    if scope.campaign and cells.get("campaign") not in (None, "", scope.campaign):
        faults.append(Fault(line, "campaign", f"this import enrolls in {scope.campaign}, not in another campaign"))
    return (Row(line, form, start) if form and not faults else None), faults


def _form(line: int, cells: Mapping[str, str]) -> tuple[ProvedSignUp | None, list[Fault]]:
    try:
        return ProvedSignUp.model_validate({name: cells[name] for name in PERSONAL if name in cells}), []
    except ValidationError as error:
        return None, list(_faults(line, error))


def _faults(line: int, error: ValidationError) -> Iterator[Fault]:
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        name = str(fault["loc"][0]) if fault["loc"] else ""
        yield Fault(line, name, YES_OR_NO if name == "consent" else fault["msg"].removeprefix("Value error, "))


def _start(text: str, scope: Scope) -> int | None:
    """A `start` in milliseconds; a date is its midnight."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            "not a date that is clear everywhere; write it as 2026-01-31 (year, month, day), or with a time as "
            "2026-01-31T09:00"
        ) from None
    milliseconds = round((at if at.tzinfo else at.replace(tzinfo=ZoneInfo(scope.zone))).timestamp() * 1000)
    if milliseconds < scope.now - OLD_AT_MOST:
        raise ValueError("more than 30 days ago; leave it out to begin now")
    if milliseconds > scope.now + AHEAD_AT_MOST // timedelta(milliseconds=1):
        raise ValueError("more than a year ahead")
    return milliseconds


def merged(first: Row, later: Row) -> Row:
    """One person from two lines: the later one counts, but a `no` to consent stands, as does what keeps email from
    them."""
    said = first.form.model_dump(exclude_none=True) | later.form.model_dump(exclude_none=True)
    if False in (first.form.consent, later.form.consent):
        said["consent"] = False
    return Row(
        first.line,
        ProvedSignUp.model_construct(**said),
        later.start if later.start is not None else first.start,
        first.reasons | later.reasons,
        first.doubt or later.doubt,
    )
