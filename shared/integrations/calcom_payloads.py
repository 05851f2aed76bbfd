"""The JSON that Cal.com posts, as models: the fields that are read, required or loose.

Source: Cal.com's page "Webhooks" (payload of version 2021-10-20).
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from shared.domain.forms import Email, Instant, Words
from shared.integrations.payloads import Line, Loose

Payload = TypeVar("Payload")

Uid = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.~-]{1,200}$")]


class Part(BaseModel):
    """Only the named fields are read, in camel case; a value is never repeated in an error."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True, alias_generator=to_camel)


class Trigger(Part):
    """What happened."""

    trigger_event: str


class Post(Part, Generic[Payload]):
    """The envelope: when it happened, and to what."""

    created_at: Loose[Instant] = None
    payload: Payload


class Attendee(Part):
    """Who booked, or a guest."""

    email: Email
    name: Loose[Words] = None
    first_name: Loose[Words] = None
    time_zone: Loose[Annotated[str, Field(max_length=64)]] = None


class Video(Part):
    """The video app's own link, which only Cal.com can set."""

    type: Loose[str] = None
    url: Loose[Line] = None


class Metadata(Part):
    """What came with the booking; what a booker adds to it replaces what Cal.com wrote."""

    video_call_url: Loose[Line] = None


class Chosen(Part):
    """The place that the booker chose: one that the host offers, by its kind, or one of their own, in words."""

    value: Loose[str] = None
    option_value: Any = None


class LocationAnswer(Part):
    """The booker's answer to where to meet."""

    value: Loose[Chosen] = None


class Responses(Part):
    """The booker's answers."""

    location: Loose[LocationAnswer] = None


class Booking(Part):
    """A booking; only its uid is required. Each attendee is read alone."""

    uid: Uid
    start_time: Loose[Instant] = None
    attendees: Loose[list[Any]] = None
    seats_per_time_slot: Loose[int] = None
    event_type_id: Loose[int] = None
    recurring_event: Loose[dict[str, Any]] = None
    cancelled_dates: Loose[list[Loose[Instant]]] = None
    cancelled_events_count: Loose[int] = None
    event_title: Loose[Annotated[str, Field(max_length=200)]] = None
    title: Loose[Words] = None
    location: Loose[Line] = None
    plain_location: Loose[Words] = Field(default=None, alias="location")
    responses: Loose[Responses] = None
    video_call_data: Loose[Video] = None
    metadata: Loose[Metadata] = None
    booker_url: Loose[Line] = None
    disable_rescheduling: Loose[bool] = None
    reschedule_uid: Loose[Uid] = None
    reschedule_start_time: Loose[Instant] = None

    @model_validator(mode="before")
    @classmethod
    def _uid_by_another_name(cls, data: Any) -> Any:
        """Without a uid, the name that a no-show has for it; or, in a move, the old booking at its new time."""
        if isinstance(data, dict) and not data.get("uid"):
            return {**data, "uid": data.get("bookingUid") or data.get("rescheduleUid")}
        return data


class NewBooking(Booking):
    """A booking that emails will mention."""

    start_time: Instant
    attendees: Annotated[list[Any], Field(min_length=1)]


class Mark(Part):
    """Whether an attendee came, according to a person."""

    email: Email
    no_show: bool


class NoShow(Part):
    """The attendees of a booking whose mark has changed."""

    booking_uid: Uid = Field(validation_alias=AliasChoices("bookingUid", "uid"))
    attendees: list[Any]
