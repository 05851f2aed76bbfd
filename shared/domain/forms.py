"""The things Evergreen speaks of: what a webhook receives, and what the ledger holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, EmailStr, Field, model_validator

from shared.domain.segments import SEGMENTS, Segment, segment

SCORES = ("assessment_score", "red_systems", "orange_systems", "yellow_systems", "green_systems")
_LINK = re.compile(r"https?:|//|www\.|[<>@{}]|\w\.[^\W\d_]{2,}", re.IGNORECASE)


def normalized(email: str) -> str:
    """An address as it is compared and kept: trimmed and in lower case."""
    return email.strip().lower()


def _one_line(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _no_link(value: str) -> str | None:
    """A name that carries a link is a stranger's advertisement in our email: it counts as not given."""
    return None if _LINK.search(value) else value


def _aware(value: datetime) -> datetime:
    """An instant without a zone is in UTC; one at the calendar's end has no local time everywhere."""
    if not 1970 < value.year < 9999:
        raise ValueError("the year must be between 1971 and 9998")
    return value if value.tzinfo else value.replace(tzinfo=UTC)


Email = Annotated[EmailStr, BeforeValidator(lambda value: normalized(value) if isinstance(value, str) else value), Field(max_length=200)]
Name = Annotated[str, BeforeValidator(_one_line), Field(max_length=100), AfterValidator(_no_link)]
Instant = Annotated[datetime, AfterValidator(_aware)]
Systems = Annotated[int, Field(ge=0, le=8)]


class Person(BaseModel):
    """Who it is about, as every webhook may say it. Unknown fields are ignored; an empty one counts as not given."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

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
            return {name: value for name, value in data.items() if value is not None and not (isinstance(value, str) and not value.strip())}
        return data

    def contact_fields(self) -> dict[str, str]:
        """What is remembered of the person: the given fields, as the ledger keeps them."""
        names = ("email", "name", "first_name", "business_name", *SCORES, "timezone", "booking_url")
        return {name: str(value) for name in names if (value := getattr(self, name, None)) is not None}


class SignUp(Person):
    """What a website form posts, with or without an assessment."""

    assessment_score: int | None = Field(default=None, ge=0, le=100)
    red_systems: Systems | None = None
    orange_systems: Systems | None = None
    yellow_systems: Systems | None = None
    green_systems: Systems | None = None
    consent: bool | None = None
    consent_text: Annotated[str, Field(max_length=2000)] | None = None
    email_1_sent_at: Instant | None = None
    email_1_status: Literal["sent", "failed"] | None = None
    fax_number: str | None = None

    @model_validator(mode="after")
    def _at_most_eight_systems(self) -> SignUp:
        if sum(getattr(self, name) or 0 for name in SCORES[1:]) > 8:
            raise ValueError("red, orange, yellow and green systems are at most 8 together")
        return self

    @property
    def assessed(self) -> bool:
        """Whether any score was given; zero counts."""
        return any(getattr(self, name) is not None for name in SCORES)

    @property
    def segment(self) -> Segment:
        """How urgent the situation is that the form describes."""
        return segment(self.red_systems or 0, self.orange_systems or 0)


class NoShow(Person):
    """A missed call, as the operator reports it.

    Attributes:
        starts_at: when the call should have begun.
        event_id: your own name for it; the same one twice is one no-show.
    """

    starts_at: Instant | None = None
    event_id: Annotated[str, Field(max_length=200)] | None = None


class PostCall(Person):
    """A call that ended with a maybe.

    Attributes:
        call_at: when it was; the emails count from there.
    """

    call_at: Instant | None = None


class NewClient(Person):
    """Somebody who has become a client.

    Attributes:
        package: what they have bought, for the emails to name.
    """

    package: Name | None = None


@dataclass(frozen=True)
class MeetingEvent:
    """What a calendar says of a meeting, whichever calendar it is. Instants are milliseconds since 1970 UTC.

    Attributes:
        what: `booked`, `cancelled`, `no-show`, or `no-show-undone`.
        key: the same for each delivery of the same event.
        uid: the meeting, as its calendar names it.
        at: when it happened, by the calendar's clock.
        starts: when the meeting begins, where the calendar says so.
        replaces: the uid of the meeting that was moved to this one.
        contact: what is known of the booker: email, name, first_name, timezone.
        values: what an email may say of the meeting: meeting_title, meeting_place, reschedule_url.
    """

    what: Literal["booked", "cancelled", "no-show", "no-show-undone"]
    key: str
    uid: str
    at: int
    starts: int | None = None
    replaces: str | None = None
    contact: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One email of one enrollment, as the ledger holds it. Instants are milliseconds since 1970 UTC."""

    number: int
    state: str
    due: int
    offset: int
    next: int | None = None
    attempts: int = 0
    posted: int | None = None
    ambiguous: bool = False
    frozen: str | None = None
    sent_at: int | None = None
    sent_by: str | None = None
    provider_id: str | None = None
    why: str | None = None
    delivered: int | None = None
    opened: int | None = None
    clicked: int | None = None
    bounced: int | None = None
    complained: int | None = None
    note: str | None = None
    anew: bool = False


@dataclass(frozen=True)
class Enrollment:
    """One contact's run through one campaign, as the ledger holds it."""

    id: str
    slug: str
    kind: str
    state: str
    anchor: int
    contact: str
    why: str | None = None
    request_id: str = ""
    paused_at: int | None = None
    steps: tuple[Step, ...] = ()

    def step(self, number: int) -> Step:
        """The step of that number; raises KeyError where there is none."""
        for step in self.steps:
            if step.number == number:
                return step
        raise KeyError(number)


@dataclass(frozen=True)
class Contact:
    """What is known of a person, as the ledger holds it: the fields of every webhook, merged."""

    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def email(self) -> str:
        """The address."""
        return self.fields["email"]

    @property
    def segment(self) -> Segment:
        """How urgent the person's situation is, from the latest scores; without any, as an earlier build had it."""
        if not self.assessed and (known := self.fields.get("segment")) in SEGMENTS:
            return known
        return segment(int(self.fields.get("red_systems", 0)), int(self.fields.get("orange_systems", 0)))

    @property
    def assessed(self) -> bool:
        """Whether any score is known."""
        return any(name in self.fields for name in SCORES)

    @property
    def subscription(self) -> str:
        """Whether the person may get email: `subscribed`, or the strongest reason why not."""
        reason = next((reason for reason in ("complained", "bounced", "unsubscribed", "manual") if reason in self.fields), "subscribed")
        return "unsubscribed" if reason == "manual" else reason
