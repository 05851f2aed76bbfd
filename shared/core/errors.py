"""Evergreen's errors: each says what is wrong and how to fix it, and none contains a secret or a person's address."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal

SendFault = Literal["refused", "rejected", "closed", "quota", "rate", "wait", "ambiguous", "busy", "conflict"]
NotionFault = Literal["busy", "unsure", "gone", "denied", "refused", "trashed", "incomplete"]
AlertFault = Literal["gone", "busy", "refused"]


def masked(text: str, limit: int = 300) -> str:
    """Another system's words, made safe for an error message: on one line, not too long, and without an address.

    Args:
        text: the other system's message.
        limit: the maximum number of characters.
    """
    return re.sub(r"\S*@\S*", "(address)", " ".join(text.split()))[:limit]


class EvergreenError(Exception):
    """The base of every error that Evergreen raises on purpose."""


class SettingsError(EvergreenError):
    """A setting is missing or wrong; the process must not start."""


class CampaignError(EvergreenError):
    """A campaign file or a template is wrong; the message names file, line and reason."""


class LedgerError(EvergreenError):
    """This program cannot read what Redis holds."""


class LedgerTooNew(LedgerError):
    """A newer release uses the ledger, so this program makes no decisions on it.

    Args:
        found: the ledger's version.
        reads: the newest version that this program can read.
    """

    def __init__(self, found: str, reads: int) -> None:
        super().__init__(
            f"the ledger has version {found}, and this program reads up to {reads}; run the release that wrote it, or "
            "a newer one"
        )


class DiskError(EvergreenError):
    """A temporary file could not be written."""


class MigrationError(EvergreenError):
    """The ledger cannot be migrated now."""


class ScheduleError(EvergreenError):
    """A job was scheduled without going through the ledger."""


class StepFailed(EvergreenError):
    """A step ended `failed` or `in-doubt`, and a person should look at it."""


class ActionError(EvergreenError):
    """A person's decision does not fit: the enrollment or step does not exist, or is in another state."""


class FenceError(EvergreenError):
    """Another copy of this ledger is sending, or may be."""


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


class Unread(WebhookError):
    """A request whose body cannot be read: 400, unless its sender must be answered 200.

    Args:
        what: what is wrong with it, in words without a value.
    """

    def __init__(self, *what: str) -> None:
        super().__init__(400, "; ".join(what))
        self.what = what


class TooManyRequests(WebhookError):
    """A rate limit was exceeded.

    Args:
        wait: milliseconds until the next request is allowed.
    """

    def __init__(self, wait: int) -> None:
        super().__init__(429, "too many requests; try again later", retry_after=math.ceil(wait / 1000))


@dataclass
class SendError(EvergreenError):
    """The email provider did not accept a request. What is known about it decides what happens next.

    Attributes:
        kind: definitely not accepted: `refused` (this email, permanently), `rejected` (any email to this address),
            `closed` (nothing can be sent: key, domain or sender), `quota` (nothing until the reset), `rate` (too many
            requests), `wait` (unreachable). Possibly accepted: `ambiguous`, `busy` (the same key is in progress at the
            provider), `conflict` (repeating it cannot show what happened).
        reason: a short sentence without addresses, kept in the ledger and shown to the owner.
        retry_after: seconds to wait before another try, if the provider said so.
        date: the time by the provider's clock, in milliseconds since 1970 UTC, if the provider itself responded.
    """

    kind: SendFault
    reason: str
    retry_after: float | None = field(default=None)
    date: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


@dataclass
class NotionError(EvergreenError):
    """A request to Notion failed.

    Attributes:
        kind: `busy` (nothing was done; try later), `unsure` (it may have been done), `gone` (no such page or database,
            or not shared with the integration), `denied` (the token), `refused` (the request does not fit the data
            source), `trashed` (the database is in the trash), `incomplete` (the answer lacks rows, so it must not be
            used).
        reason: a short sentence without a secret.
        retry_after: seconds to wait, if Notion said so.
        committed: the id of the page that was created despite the error, if Notion said so.
    """

    kind: NotionFault
    reason: str
    retry_after: float | None = None
    committed: str | None = None

    def __str__(self) -> str:
        return self.reason


@dataclass
class AlertError(EvergreenError):
    """An alert could not be sent to the owner.

    Attributes:
        kind: `gone` (the webhook was deleted: it must not be used again), `busy` (not now), `refused` (not this
            message).
        reason: a short sentence without the webhook's address, which is a secret.
        retry_after: seconds to wait before another try, if the other side said so.
    """

    kind: AlertFault
    reason: str
    retry_after: float | None = None

    def __str__(self) -> str:
        return self.reason
