"""The JSON that Calendly posts, as models: the fields that are read, required or loose.

Sources: Calendly's page "Webhook Payload" (the envelope), and the schemas Invitee, InviteeNoShow and Event Location of
its API reference.
"""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from shared.domain.forms import Email, Instant, Words
from shared.integrations.payloads import Line, Loose

Payload = TypeVar("Payload")

InviteeUri = Annotated[str, Field(pattern=r"^https://[!-~]{1,300}/invitees/[A-Za-z0-9_-]{1,100}$")]
NoShowUri = Annotated[str, Field(pattern=r"^https://[!-~]{1,300}$")]


class Part(BaseModel):
    """Only the named fields are read; a value is never repeated in an error."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class Trigger(Part):
    """What happened."""

    event: str


class Post(Part, Generic[Payload]):
    """The envelope: when it happened, and to what."""

    created_at: Instant
    payload: Payload


class Location(Part):
    """Where to meet."""

    type: Loose[str] = None
    join_url: Loose[Line] = None
    location: Loose[Line] = None
    plain_location: Loose[Words] = Field(default=None, alias="location")


class Meeting(Part):
    """The scheduled event."""

    start_time: Instant
    name: Loose[Annotated[str, Field(max_length=200)]] = None
    location: Loose[Location] = None


class Mark(Part):
    """The mark that the invitee did not come."""

    uri: NoShowUri


class Invitee(Part):
    """An invitee; only the URI is required."""

    uri: InviteeUri
    email: Email | None = None
    name: Loose[Words] = None
    first_name: Loose[Words] = None
    timezone: Loose[Annotated[str, Field(max_length=64)]] = None
    old_invitee: Loose[InviteeUri] = None
    reschedule_url: Loose[Line] = None
    scheduled_event: Loose[Meeting] = None
    no_show: Loose[Mark] = None


class NamedInvitee(Invitee):
    """An invitee who may get an email."""

    email: Email


class NewInvitee(NamedInvitee):
    """An invitee whose meeting emails will mention."""

    scheduled_event: Meeting
