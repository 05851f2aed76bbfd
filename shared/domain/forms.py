"""Forms: what a webhook receives, field by field, and what a calendar reports about a meeting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from shared.domain import addresses, names
from shared.domain.enrollments import SCORES
from shared.domain.form_types import Consent, ConsentText, Score, Status, Systems, cut, one_line
from shared.domain.segments import Segment, segment

LONGEST_SOLUTION = 2000  # characters
# Faults that refuse a form: those of our own rules, and numbers out of their range.
_REFUSED = {"value_error", "greater_than_equal", "less_than_equal", "finite_number"}


def _no_link(value: str) -> str | None:
    return None if names.carries_link(value) else value


def _solution(value: Any) -> str | None:
    """A challenge's solution; any other content counts as none."""
    return value if isinstance(value, str) and len(value) <= LONGEST_SOLUTION else None


def _aware(value: datetime) -> datetime:
    """An instant without a zone is in UTC; one at the end of the calendar has no local time in some zones."""
    if not 1970 < value.year < 9999:
        raise ValueError("the year must be between 1971 and 9998")
    return value if value.tzinfo else value.replace(tzinfo=UTC)


Email = Annotated[
    str,
    AfterValidator(addresses.accepted),
    Field(json_schema_extra={"format": "email", "maxLength": addresses.LONGEST}),
]
Name = Annotated[str, BeforeValidator(one_line), cut(100)]
# What a booker may have typed into a calendar: with a link in it, it counts as not given.
Words = Annotated[Name, AfterValidator(_no_link)]
# What a stranger typed: of any length, as a name that is none refuses no sign-up.
Typed = Annotated[str, BeforeValidator(one_line)]
Instant = Annotated[
    datetime,
    AfterValidator(_aware),
    BeforeValidator(
        lambda value: value.strip() if isinstance(value, str) else value,
        json_schema_input_type=datetime | date | float | Annotated[str, Field(pattern=r"^\d+(\.\d+)?$")],
    ),
]
NAMES = ("name", "first_name", "business_name")


class Person(BaseModel):
    """The person a webhook is about. Unknown fields are ignored; an empty field counts as not given.

    The report is proved, so an email may print the names as they were given.
    """

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True, coerce_numbers_to_str=True)
    _left_out: dict[str, Any] = {}

    email: Email
    name: Name | None = None
    first_name: Name | None = None
    business_name: Name | None = None
    timezone: Annotated[str, Field(max_length=64)] | None = None
    booking_url: Annotated[str, Field(max_length=500)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {
                name: value
                for name, value in data.items()
                if value is not None and not (isinstance(value, str) and not value.strip())
            }
        return data

    def contact_fields(self) -> dict[str, str]:
        """What is remembered about the person: the given fields, as the ledger stores them."""
        kept = ("email", *NAMES, *SCORES, "timezone", "booking_url")
        return {field: str(value) for field in kept if (value := getattr(self, field, None)) is not None}

    @property
    def left_out(self) -> list[str]:
        """The fields whose values could not be read."""
        return sorted(self._left_out)

    def claimed_fields(self) -> dict[str, str]:
        """What was given but may not be printed or could not be read, at most 100 characters each, for the owner to
        see."""
        given = {
            name: str(value) if isinstance(value, str | int | float) else "(not text)"
            for name, value in self._left_out.items()
        }
        return {name: names.claimed(text) or "(not readable)" for name, text in given.items()}


class SignUp(Person):
    """What a website form posts; a value that cannot be read is left out.

    Anyone can post a form, so a name counts only if it can be nothing but a name. `name`, `first_name` and
    `business_name` hold what was typed; `contact_fields` has what an email may print, `claimed_fields` the rest.
    """

    name: Typed | None = None
    first_name: Typed | None = None
    business_name: Typed | None = None
    assessment_score: Score | None = None
    red_systems: Systems | None = None
    orange_systems: Systems | None = None
    yellow_systems: Systems | None = None
    green_systems: Systems | None = None
    consent: Consent | None = None
    consent_text: ConsentText | None = None
    email_1_sent_at: Instant | None = None
    email_1_status: Status | None = None
    fax_number: Annotated[Any, Field(json_schema_extra={"type": "string"})] = None
    altcha: Annotated[str | None, BeforeValidator(_solution)] = None

    @classmethod
    def posted(cls, fields: Mapping[str, Any]) -> Self:
        """A form that a website posts: what cannot be read is left out, as it must not cost the sign-up.

        Raises:
            ValidationError: if the address is missing or unreadable, or a number or a time is out of its range.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            unfit = {str(fault["loc"][0]) for fault in error.errors() if fault["loc"] and fault["type"] not in _REFUSED}
        unfit.discard("email")
        form = cls.model_validate({name: value for name, value in fields.items() if name not in unfit})
        form._left_out = {name: fields[name] for name in unfit}
        return form

    @model_validator(mode="after")
    def _at_most_eight_systems(self) -> SignUp:
        if sum(getattr(self, name) or 0 for name in SCORES[1:]) > 8:
            raise ValueError("red, orange, yellow and green systems must add up to at most 8")
        return self

    def contact_fields(self) -> dict[str, str]:
        """What is remembered about the person: the given fields, of the names only what an email may print."""
        printed = {field: name.printed for field, name in self._names().items()}
        fields = super().contact_fields() | printed
        return {field: value for field, value in fields.items() if value is not None}

    def claimed_fields(self) -> dict[str, str]:
        """The same, with the names that an email must not print."""
        claimed = {field: name.claimed for field, name in self._names().items() if name.claimed is not None}
        return super().claimed_fields() | claimed

    def _names(self) -> dict[str, names.Name]:
        given = {field: getattr(self, field) for field in NAMES}
        return {
            field: names.read_name(value, business=field == "business_name")
            for field, value in given.items()
            if value is not None
        }

    @property
    def assessed(self) -> bool:
        """Whether any score was given; zero counts."""
        return any(getattr(self, name) is not None for name in SCORES)

    @property
    def segment(self) -> Segment:
        """How urgent the situation described in the form is."""
        return segment(self.red_systems or 0, self.orange_systems or 0)


class ProvedSignUp(SignUp):
    """A sign-up that the operator imports, or that the website's server has signed: names are printed as given."""

    name: Name | None = None
    first_name: Name | None = None
    business_name: Name | None = None

    def _names(self) -> dict[str, names.Name]:
        return {}


class NoShow(Person):
    """A missed call, as the operator reports it.

    Attributes:
        starts_at: when the call should have begun.
        event_id: your own id for it; the same id twice counts as one no-show.
    """

    starts_at: Instant | None = None
    event_id: Annotated[str, Field(max_length=200)] | None = None


class PostCall(Person):
    """A call that ended with a maybe.

    Attributes:
        call_at: when it took place; the emails' delays count from then.
    """

    call_at: Instant | None = None


class NewClient(Person):
    """A person who has become a client.

    Attributes:
        package: what they bought, for the emails to name.
    """

    package: Name | None = None


@dataclass(frozen=True)
class MeetingEvent:
    """What a calendar reports about a meeting, in the same form for every calendar. Instants are milliseconds since
    1970 UTC.

    Attributes:
        what: `booked`, `cancelled`, `no-show`, or `no-show-undone`.
        key: the same for each delivery of the same event; each attendee of the event has their own.
        uid: the meeting's id in its calendar.
        at: when it happened, by the calendar's clock.
        starts: when the meeting begins, if the calendar says so.
        replaces: the uid of the meeting that was moved to this one.
        seated: whether several people may book a seat each under this uid; None if the event does not say.
        listed: the place in the event's list of attendees, from 0: who books or moves a seat is the first.
        series: the recurring series that the meeting is part of. A cancellation with it, but without `dates`, ends all
            that remains of the series.
        dates: the starts of the other meetings that are cancelled, too.
        contact: what is known about the booker: email, name, first_name, timezone.
        values: what an email may say about the meeting: meeting_title, meeting_place, reschedule_url.
    """

    what: Literal["booked", "cancelled", "no-show", "no-show-undone"]
    key: str
    uid: str
    at: int
    starts: int | None = None
    replaces: str | None = None
    seated: bool | None = False
    listed: int = 0
    series: str | None = None
    dates: tuple[int, ...] = ()
    contact: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CalendarReport:
    """What was read of one delivery of a calendar; both are empty if it is about nothing that concerns us.

    Attributes:
        events: what happened, for each attendee that the event concerns.
        unread: what could not be read, in words without a value.
    """

    events: tuple[MeetingEvent, ...] = ()
    unread: tuple[str, ...] = ()
