"""Evergreen's errors: each says what is wrong and how to fix it, and none carries a secret or a person's address."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal

SendFault = Literal["refused", "closed", "quota", "rate", "wait", "ambiguous", "busy", "conflict"]
NotionFault = Literal["busy", "unsure", "gone", "denied", "refused"]
AlertFault = Literal["gone", "busy", "refused"]


def masked(text: str, limit: int = 300) -> str:
    """Somebody else's words as an error may carry them: on one line, not too long, and without an address.

    Args:
        text: what the other side said.
        limit: characters.
    """
    return re.sub(r"\S*@\S*", "(address)", " ".join(text.split()))[:limit]


class EvergreenError(Exception):
    """The base of every error that Evergreen raises on purpose."""


class SettingsError(EvergreenError):
    """A setting is missing or wrong; the process must not start."""


class CampaignError(EvergreenError):
    """A campaign file or a template is wrong; the message names file, line and reason."""


class LedgerError(EvergreenError):
    """What Redis holds cannot be read by this program."""


class LedgerTooNew(LedgerError):
    """A newer release has the ledger: this program decides nothing on it.

    Args:
        found: the ledger's version, as it stands there.
        reads: the newest that this program can read.
    """

    def __init__(self, found: str, reads: int) -> None:
        super().__init__(
            f"the ledger has version {found}, and this program reads up to {reads}; run the release that wrote it, or "
            "a newer one"
        )


class MigrationError(EvergreenError):
    """The ledger cannot be migrated now."""


class ScheduleError(EvergreenError):
    """Somebody tried to put a job on the schedule past the ledger."""


class StepFailed(EvergreenError):
    """A step has ended `failed` or `in-doubt`, and a person should look at it."""


class ActionError(EvergreenError):
    """A person's decision about an enrollment or a step does not fit: there is none, or it is in another state."""


class FenceError(EvergreenError):
    """Another copy of this ledger sends, or may."""


class RenderingError(EvergreenError):
    """A template could not be turned into an email."""


class WebhookError(EvergreenError):
    """A request that a webhook refuses.

    Args:
        status: the HTTP status to answer with.
        message: what is wrong, for the caller to read.
        details: field errors in pydantic's form, for a 422.
        retry_after: seconds, for a 429 or 503.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        details: list[dict[str, object]] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = details
        self.retry_after = retry_after


class TooManyRequests(WebhookError):
    """More came than a limit lets through.

    Args:
        wait: milliseconds until the next is let through.
    """

    def __init__(self, wait: int) -> None:
        super().__init__(429, "too many requests; wait a little", retry_after=math.ceil(wait / 1000))


@dataclass
class SendError(EvergreenError):
    """The email provider did not accept a request. What is known about it decides what may happen next.

    Attributes:
        kind: surely not accepted: `refused` (this email, for good), `closed` (nothing can be sent: key or domain),
            `quota` (nothing until the reset), `rate` (too many requests), `wait` (unreachable). Perhaps accepted:
            `ambiguous`, `busy` (the same key is in progress at the provider), `conflict` (no repetition can tell what
            happened).
        reason: a short sentence without addresses, kept in the ledger and shown to the owner.
        retry_after: seconds until another try makes sense, where the provider said so.
        date: what time it is by the provider's clock, in milliseconds since 1970 UTC, where the provider itself
            answered.
    """

    kind: SendFault
    reason: str
    retry_after: float | None = field(default=None)
    date: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


@dataclass
class NotionError(EvergreenError):
    """Notion did not do what it was asked.

    Attributes:
        kind: `busy` (nothing was done; later), `unsure` (perhaps it was done), `gone` (no such page or database, or not
            shared with the integration), `denied` (the token), `refused` (the request does not fit the data source).
        reason: a short sentence without a secret.
        retry_after: seconds, where Notion said so.
        committed: the id of the page that was created all the same, where Notion said so.
    """

    kind: NotionFault
    reason: str
    retry_after: float | None = None
    committed: str | None = None

    def __str__(self) -> str:
        return self.reason


@dataclass
class AlertError(EvergreenError):
    """The owner could not be told of something.

    Attributes:
        kind: `gone` (the webhook was deleted: it must not be used again), `busy` (not now), `refused` (not this
            message).
        reason: a short sentence without the webhook's address, which is a secret.
        retry_after: seconds until another try makes sense, where the other side said so.
    """

    kind: AlertFault
    reason: str
    retry_after: float | None = None

    def __str__(self) -> str:
        return self.reason
