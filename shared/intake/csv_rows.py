"""One line of a CSV file of people: checked as the website's forms are, and merged with an earlier line of the same
address."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from shared.domain.enrollments import SCORES
from shared.domain.forms import ProvedSignUp
from shared.domain.timing import OLD_AT_MOST

PERSONAL = ("email", "name", "first_name", "business_name", "timezone", *SCORES, "consent", "consent_text")
AHEAD_AT_MOST = timedelta(days=366)
YES_OR_NO = "write yes or no"


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
    form: ProvedSignUp
    start: int | None = None


def checked(line: int, given: dict[str, str], campaign: str | None, now: int) -> tuple[Row | None, list[Fault]]:
    """The person of a line, or None and what is wrong with it.

    Args:
        line: where it begins in the file, from 1.
        given: its cells that are not empty, by column.
        campaign: the slug that the column `campaign` must hold, unless it is empty.
        now: milliseconds since 1970 UTC.
    """
    faults, start, form = [], None, None
    try:
        start = _start(given["start"], now) if "start" in given else None
    except ValueError as error:
        faults.append(Fault(line, "start", str(error)))
    if campaign and given.get("campaign", campaign) != campaign:
        faults.append(Fault(line, "campaign", f"this import enrolls in {campaign}, not in another campaign"))
    try:
        form = ProvedSignUp.model_validate({"email": ""} | {name: given[name] for name in PERSONAL if name in given})
    except ValidationError as error:
        faults += _faults(line, error)
    return (Row(line, form, start) if form and not faults else None), faults


def _faults(line: int, error: ValidationError) -> Iterator[Fault]:
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        name = str(fault["loc"][0]) if fault["loc"] else ""
        yield Fault(line, name, YES_OR_NO if name == "consent" else fault["msg"].removeprefix("Value error, "))


def _start(text: str, now: int) -> int:
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


def merged(first: Row, later: Row) -> Row:
    """One person from two lines: the later one counts, but a `no` to consent stands."""
    said = first.form.model_dump(exclude_none=True) | later.form.model_dump(exclude_none=True)
    if False in (first.form.consent, later.form.consent):
        said["consent"] = False
    return Row(
        first.line, ProvedSignUp.model_construct(**said), later.start if later.start is not None else first.start
    )
