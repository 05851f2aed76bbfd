"""The JSON that Resend posts, as models: the fields that are read, nearly all of them loose.

Source: https://resend.com/docs/dashboard/webhooks/event-types.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from shared.domain.forms import Instant
from shared.integrations.payloads import Loose


def _as_object(value: Any) -> Any:
    """Tags come as an object, or as the list that was sent."""
    if not isinstance(value, list):
        return value
    return {
        tag["name"]: tag.get("value") for tag in value if isinstance(tag, dict) and isinstance(tag.get("name"), str)
    }


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,200}$")]


class Part(BaseModel):
    """Only the named fields are read; a value is never repeated in an error."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class Trouble(Part):
    """Why an email did not arrive: the fields of `bounce`, `failed` and `suppressed`."""

    type: Loose[str] = None
    sub_type: Loose[str] = Field(default=None, alias="subType")
    message: Loose[str] = None
    reason: Loose[str] = None


class Data(Part):
    """The email or the contact that it is about."""

    created_at: Loose[Instant] = None
    email_id: Loose[Id] = None
    to: Loose[Annotated[list[str], BeforeValidator(_as_list)]] = None
    email: Loose[str] = None
    unsubscribed: Loose[bool] = None
    tags: Loose[Annotated[dict[str, Any], BeforeValidator(_as_object)]] = None
    bounce: Loose[Trouble] = None
    failed: Loose[Trouble] = None
    suppressed: Loose[Trouble] = None


class Post(Part):
    """The envelope: what happened and when; only the type is required."""

    type: str
    created_at: Loose[Instant] = None
    data: Loose[Data] = None
